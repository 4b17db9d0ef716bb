# Thin names over CMake, ctest and Common Test. `make` builds priv/remora; `make help` lists the rest.
PREFIX ?= /usr/local
SECONDS_EACH ?= 60
SUITES ?=
SEED ?= 1
RUNS ?= 2000

.PHONY: all deps build run test unit sim sim-discovery sim-election sim-membership beam asan otp27 bench fuzz lint fmt clean install help
all: build

help:
	@echo "make build    priv/remora, a Release build        make bench   ratios against a raw ei loop and a BEAM node"
	@echo "make run      a small cluster, shown step by step  make fuzz    each fuzz target for SECONDS_EACH=60"
	@echo "make test     everything that CI runs              make lint    clang-format and clang-tidy"
	@echo "make unit     doctest units only                   make fmt     formats the sources"
	@echo "make sim      simulated clusters, SEED=1 RUNS=2000; build/release/test/sim --seed N --trace shows one"
	@echo "make sim-discovery  the same of discovery: sources that fail and lie, nodes that die and return"
	@echo "make sim-election   the same of election: disks, clocks and links that fail, voters that change"
	@echo "make sim-membership  detection times, traffic and false deaths of membership, up to 10,000 members"
	@echo "make beam     Common Test, SUITES=\"link call\"      make otp27   unpacks OTP 27 beside the machine's own"
	@echo "make install  PREFIX=/usr/local                    make clean   removes build/ and priv/remora"

deps:
	@.ci/deps

# Presets are kept in a dotfile; CMake looks for this name.
CMakeUserPresets.json:
	@printf '{"version": 6, "include": [".cmake/presets.json"]}\n' > $@

build/%/build.ninja: CMakeUserPresets.json | deps
	@cmake --preset $* > build-$*.log 2>&1 || { cat build-$*.log; rm -f build-$*.log; exit 1; }; rm -f build-$*.log

build: deps build/release/build.ninja
	@cmake --build build/release
	@mkdir -p priv && cp -f build/release/cnode/remora priv/remora.new && mv -f priv/remora.new priv/remora

run: build
	@test/support/run.sh

test: build
	@test/support/test.sh

unit: build
	@build/release/test/unit

sim: build sim-election
	@build/release/test/sim --seed $(SEED) --runs $(RUNS)

sim-election: RUNS = 10000
sim-election: build
	@build/release/test/sim --election --seed $(SEED) --runs $(RUNS)

sim-discovery: build
	@build/release/test/sim --discovery --seed $(SEED) --runs $(RUNS)

sim-membership: build
	@build/release/test/sim --membership --table --seed $(SEED)

beam: build otp27
	@test/beam/run.sh $(SUITES)

asan: deps build/asan/build.ninja
	@cmake --build build/asan --target sanitized

otp27: deps
	@test/support/otp27.sh build/otp27

bench: build
	@test/bench/run.sh

fuzz: deps
	@test/fuzz/run.sh $(SECONDS_EACH)

lint: build
	@test/support/lint.sh

fmt: deps
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i

install: build
	@cmake --install build/release --prefix $(PREFIX)

clean:
	@rm -rf build priv/remora CMakeUserPresets.json
