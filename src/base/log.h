/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* JSON lines on standard error: time, level, process, request id (when set for the thread), message. Library folders
 * (levels 0-3) never log above debug. Any thread. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* process is kept, not copied. */
void log_init(const char *process, enum log_level max);
/* Opens the file named by $APPIA_LOG_FILE (what standard output and error were sent to) anew, because it has been
 * renamed. No line is lost: what other threads write meanwhile goes to one of the two. */
void log_reopen(void);
/* Request id of what this thread is doing now; NULL ends it. Copied (64 bytes at most). */
void log_request(const char *request_id);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
