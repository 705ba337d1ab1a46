# make demo: the whole way in a few minutes.   make test: everything that must hold.
# make quick: what trains nothing.              make long: what is not needed each time.
# All need Python 3.11 or newer and nothing else; what they install goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
DEMO_ITERATIONS := 400
QUICK := specs finding_specs new_and_schemas network paper states stale origin edits faults folder safetensors results generated_text ledger ledger_runs

.PHONY: demo test quick long generate clean

demo: .venv/train
	$(BIN)/resnet-gen check
	$(BIN)/resnet-gen generate --all
	$(BIN)/resnet-gen diff resnet20
	$(BIN)/resnet-gen diff resnet34_b
	rm -rf runs/demo
	$(BIN)/resnet-gen train resnet20 -- --data digits --iterations $(DEMO_ITERATIONS) --out runs/demo
	@echo "The run is in runs/demo: metrics.jsonl, checkpoint.pt and results.json."

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/resnet-gen generate --all --check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal  # one thread of torch in each of two workers

# What a developer runs between edits: nothing is trained.
quick: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/resnet-gen generate --all --check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 $(addprefix tests/test_,$(addsuffix .py,$(QUICK)))

# What is not needed each time: the README's and docs' commands at their full length, the numbers of
# all networks, and less of what benchmarks/ record at length, into runs/long.
long: .venv/dev
	OMP_NUM_THREADS=1 FULL_LENGTH=1 $(BIN)/pytest -n 2 $(addprefix tests/test_,readme.py numbers.py weights_safety.py)
	RESULTS=runs/long $(BIN)/python benchmarks/kills.py --kills 8
	RESULTS=runs/long $(BIN)/python benchmarks/mutation.py --edits 100 --full 10 --seed 1
	RESULTS=runs/long $(BIN)/python benchmarks/specs_at_random.py --specs 100
	RESULTS=runs/long $(BIN)/python benchmarks/wrong_files.py --files 1000
	RESULTS=runs/long $(BIN)/python benchmarks/generation_kills.py --kills 20

generate: .venv/dev
	$(BIN)/resnet-gen schema --out specs/schema
	$(BIN)/resnet-gen generate --all

# The stamps say which extras are installed, and are renewed when pyproject.toml changes.
.venv/train .venv/dev: .venv/%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv runs dist build .mypy_cache .pytest_cache .ruff_cache
