# Each target makes the virtual environment when it is missing or older than what it is made from.
PYTHON ?= python3
ACTIVATE := . .venv/bin/activate

.PHONY: demo test lint lock

# The main job: every suite at demo scale, offline. Results: results/demo/
demo: .venv/ready
	$(ACTIVATE) && snakemake --cores all

test: .venv/ready
	$(ACTIVATE) && pytest

lint: .venv/ready
	$(ACTIVATE) && ruff check && ruff format --check \
	  && snakefmt --check Snakefile workflow/rules && snakemake --lint \
	  && mypy && codespell

# Take the newest allowed version of every package into requirements.txt.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet 'setuptools>=77' 'torch==2.13.0' '.[slurm,test]'
	.venv-lock/bin/pip freeze --all --exclude awd --exclude pip | sed 's/+cpu$$//' > requirements.txt
	rm -rf .venv-lock
	$(MAKE) workflow/envs/awd.yaml

# The same pins for snakemake --software-deployment-method conda.
workflow/envs/awd.yaml: requirements.txt
	( echo '# Made by "make lock" from requirements.txt, for snakemake --software-deployment-method conda.'; \
	  echo 'channels: [conda-forge, nodefaults]'; \
	  echo 'dependencies:'; echo '  - python=3.11'; echo '  - pip'; echo '  - pip:'; \
	  sed 's/^/      - /' requirements.txt ) > workflow/envs/awd.yaml

.venv/ready: requirements.txt pyproject.toml setup.py $(wildcard awd/model/kernels/*.cpp awd/model/kernels/*.h)
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --requirement requirements.txt
	.venv/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	.venv/bin/python -m awd.model.kernels
	touch $@
