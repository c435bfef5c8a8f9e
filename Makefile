# SPDX-License-Identifier: Apache-2.0
# A thin front of the scripts and of Meson; see docs/development.md.
all:
	@[ -f build-release/build.ninja ] || meson setup build-release --buildtype=release -Dtests=false
	ninja -C build-release
test:
	./test.sh
bench:
	tools/packages.sh bench
	@[ -f build-bench/build.ninja ] || meson setup build-bench --buildtype=release
	ninja -C build-bench
	/usr/bin/python3 bench/run.py build-bench
fuzz:
	tools/packages.sh fuzz
	@[ -f build-fuzz/build.ninja ] || CC=clang-14 meson setup build-fuzz -Dfuzzers=true -Dgateway=false \
		-Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
	ninja -C build-fuzz fuzzers
	/usr/bin/python3 tools/run_fuzz.py build-fuzz $(FUZZ_SECONDS)
soak:
	tools/packages.sh test
	@[ -f build-bench/build.ninja ] || meson setup build-bench --buildtype=release
	ninja -C build-bench
	meson test -C build-bench --no-rebuild --benchmark --print-errorlogs broker_log_crash_soak
	APPIA_BUILD=$(CURDIR)/build-bench PYTHONPATH=tests /usr/bin/python3 -m pytest -q -s tests/fault -m soak
tsan:
	tools/packages.sh test
	@[ -f build-tsan/build.ninja ] || meson setup build-tsan -Dbuildtype=debugoptimized -Db_sanitize=thread
	ninja -C build-tsan
	meson test -C build-tsan --no-rebuild --print-errorlogs
	APPIA_BUILD=$(CURDIR)/build-tsan PYTHONPATH=tests /usr/bin/python3 -m pytest -q tests/api tests/mqs \
		tests/fault/test_mqs_kill.py tests/fault/test_mqs_hostile.py -m "not soak"
conformance:
	tools/packages.sh test
	@[ -f build-bench/build.ninja ] || meson setup build-bench --buildtype=release
	ninja -C build-bench src/bin/appia-mqs
	/usr/bin/python3 tools/conformance.py build-bench $(SUITES)
lint:
	/usr/bin/python3 tools/lint.py
format:
	git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' | xargs clang-format-14 -i
clean:
	rm -rf build-*
install: all
	meson install -C build-release
.PHONY: all test bench fuzz soak tsan conformance lint format clean install
