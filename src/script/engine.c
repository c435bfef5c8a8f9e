/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "script/script_priv.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Each thread keeps one virtual machine (a context group): its heap, its compiler and the parsed form of the scripts
 * it ran. Each run gets a global object of its own in it, so nothing a script leaves behind reaches the next run. */

#define TICK_S 0.01 /* how often a running script is looked at, CPU time */
#define STOP_TICK_S 0.001 /* and one that is to stop */
#define MEASURE_US 250000 /* CPU time after which the heap is measured whatever the process says */
#define RUNS_PER_VM 2000 /* then a new virtual machine, against slow growth */
#define KEEP_BYTES ((size_t)32 << 20) /* a heap larger than this after a run is not kept */

struct vm {
	JSContextGroupRef group;
	unsigned runs;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t vm_key;
static _Thread_local struct script_call *current;

struct script_call *script__call(void)
{
	return current;
}

JSValueRef script__host_call(JSObjectCallAsFunctionCallback body, SCRIPT_ARGS)
{
	if (current->stop)
		return script__throw(ctx, exc, "stopped");
	struct arena *outer = current->a;

	current->a = arena_new(SCRIPT_MAX_SCRATCH);
	JSValueRef ret = body(ctx, self_fn, self, argc, argv, exc);

	arena_free(current->a);
	current->a = outer;
	return ret;
}

static void vm_drop(struct vm *vm)
{
	if (vm->group)
		JSContextGroupRelease(vm->group);
	vm->group = NULL;
	vm->runs = 0;
}

static void vm_free(void *arg)
{
	vm_drop(arg);
	free(arg);
}

/* JavaScriptCore reads its options from the environment when its first virtual machine starts, and never again. */
static void init(void)
{
	setenv("JSC_usePollingTraps", "1", 0); /* not by signals, whose handlers others may replace */
	setenv("JSC_useSharedArrayBuffer", "0", 0);
	setenv("JSC_numberOfGCMarkers", "1", 0);
	pthread_key_create(&vm_key, vm_free);
	JSContextGroupRelease(JSContextGroupCreate());
}

void script_init(void)
{
	pthread_once(&once, init);
}

/* Field 0: all of the address space, 1: resident (proc(5), statm). 0 when it cannot be read. */
static size_t process_bytes(int field)
{
	char line[128] = "";
	unsigned long v[2] = {0, 0};
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, line, sizeof(line) - 1);

	close(fd);
	if (n <= 0 || sscanf(line, "%lu %lu", &v[0], &v[1]) != 2)
		return 0;
	return v[field] * (size_t)sysconf(_SC_PAGESIZE);
}

int script_process_limit(size_t bytes, struct err *err)
{
	script_init();
	size_t now = process_bytes(0);
	struct rlimit lim;

	if (!now || getrlimit(RLIMIT_AS, &lim))
		return err_set(err, ERR_APPIA_0500, "the process cannot read its own size");
	rlim_t want = now + bytes;

	if (lim.rlim_max != RLIM_INFINITY && want > lim.rlim_max)
		want = lim.rlim_max;
	lim.rlim_cur = want;
	if (setrlimit(RLIMIT_AS, &lim))
		return err_set(err, ERR_APPIA_0500, "the process cannot limit its own size");
	return 0;
}

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Bytes the virtual machine holds: its cells and what they own. Walks the heap, so it costs milliseconds. */
static size_t heap_bytes(JSContextRef ctx)
{
	JSValueRef exc = NULL;
	JSObjectRef stats = JSGetMemoryUsageStatistics(ctx);
	JSValueRef v = stats ? script__get(ctx, stats, "heapSize", &exc) : NULL;
	double n = v ? JSValueToNumber(ctx, v, NULL) : 0;

	return n > 0 ? (size_t)n : 0;
}

/* The process's resident size is read first, because it costs nothing; only when it has grown, or now and then, is the
 * heap of this virtual machine measured, at most a fifth of the time. */
static bool over_memory(struct script_call *call, JSContextRef ctx)
{
	size_t limit = call->limits->memory_bytes;
	int64_t now = cpu_us();

	if (!limit || now < call->next_exact_us)
		return false;
	if (now - call->exact_us < MEASURE_US && process_bytes(1) < call->rss_start + limit / 4)
		return false;
	bool over = heap_bytes(ctx) > limit;

	if (over) {
		JSSynchronousGarbageCollectForDebugging(ctx);
		over = heap_bytes(ctx) > limit;
	}
	call->exact_us = cpu_us();
	call->next_exact_us = call->exact_us + 5 * (call->exact_us - now);
	return over;
}

static enum script_stop reason_to_stop(struct script_call *call, JSContextRef ctx)
{
	if (cpu_us() - call->cpu_start_us > call->limits->cpu_ms * 1000)
		return SCRIPT_STOP_CPU;
	if (call->limits->deadline_ms && clock_mono_ms() > call->limits->deadline_ms)
		return SCRIPT_STOP_DEADLINE;
	return over_memory(call, ctx) ? SCRIPT_STOP_MEMORY : SCRIPT_STOP_NONE;
}

/* Called by JavaScriptCore at a safe point of the script about every TICK_S of CPU time. The limit has to be set again
 * each time. When the answer is no, the library does not restart its timer by itself. When it is yes, and the safe
 * point lies in what a host function asked of the engine, the stop is an ordinary exception to the host function, which
 * may end there or in a catch of the script: the script runs on, until it is stopped again. */
static bool should_stop(JSContextRef ctx, void *arg)
{
	struct script_call *call = current;

	(void)arg;
	if (!call)
		return false;
	if (!call->stop)
		call->stop = reason_to_stop(call, ctx);
	JSContextGroupSetExecutionTimeLimit(call->group, call->stop ? STOP_TICK_S : TICK_S, should_stop, NULL);
	return call->stop != SCRIPT_STOP_NONE;
}

static struct vm *vm_get(void)
{
	script_init();
	struct vm *vm = pthread_getspecific(vm_key);

	if (!vm) {
		vm = mem_zalloc(sizeof(*vm));
		pthread_setspecific(vm_key, vm);
	}
	if (!vm->group)
		vm->group = (JSContextGroupRef)JSContextGroupCreate();
	return vm;
}

void script__begin(struct script_call *call)
{
	struct vm *vm = vm_get();

	vm->runs++;
	call->group = vm->group;
	call->ctx = JSGlobalContextCreateInGroup(vm->group, NULL);
	buf_init(&call->log, SCRIPT_MAX_LOG);
	call->rss_start = process_bytes(1);
	call->cpu_start_us = call->exact_us = cpu_us();
	current = call;
	JSContextGroupSetExecutionTimeLimit(vm->group, TICK_S, should_stop, NULL);
}

void script__end(struct script_call *call, bool abnormal)
{
	struct vm *vm = vm_get();
	size_t rss = process_bytes(1);
	bool large = rss > call->rss_start + KEEP_BYTES;

	JSGlobalContextRelease(call->ctx);
	current = NULL;
	buf_done(&call->log);
	if (abnormal || large || vm->runs >= RUNS_PER_VM)
		vm_drop(vm);
}
