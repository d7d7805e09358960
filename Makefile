# Each target first makes the virtual environment, if it is missing or out of date.
PYTHON ?= python3
ACTIVATE := . .venv/bin/activate

.PHONY: demo demo-tables test installation lint figures lock

# Run every suite at demo scale, offline; results are in results/demo.
demo: .venv/ready
	$(ACTIVATE) && snakemake --cores all

# The tables of the demo that docs show and tests compare with, of these studies alone.
demo-tables: .venv/ready
	rm -rf build/demo
	$(ACTIVATE) && snakemake --cores all --config results=build/demo device=cpu
	cp build/demo/demo/tables/*.md docs/demo/tables
	cp build/demo/demo/plans/*.json docs/demo/plans

test: .venv/ready
	$(ACTIVATE) && pytest

# Install awd and the oldest Snakemake that it declares into new environments, and plan with them.
installation: .venv/ready
	$(ACTIVATE) && pytest -n 0 tests/installation --install

lint: .venv/ready
	$(ACTIVATE) && ruff check && ruff format --check \
	  && snakefmt --check workflow/Snakefile workflow/rules && snakemake --lint \
	  && mypy && codespell

# The pictures that docs show, of the demo and of the records in results/runs; the page
# is drawn by Chromium.
FIGURES := merity2018-ablation merity2018-curves merity2018-frequencies merity2018-cost \
  yoon2019-losses kim2024-perplexities kim2024-schedules bonetto2024-parameters

figures: .venv/ready
	$(ACTIVATE) && snakemake --cores all --config suites=floor && snakemake --cores all
	$(ACTIVATE) && python -m awd report scale=paper parts=figures suites=kim2024 figures=ablation
	cp results/paper/figures/kim2024-ablation.png docs
	for figure in $(FIGURES); do \
	  cp results/demo/figures/$$figure.png docs/figure-$${figure#*-}.png || exit 1; done
	cp results/demo/figures/floor-floor.png docs/honest-evaluation-floor.png
	$(ACTIVATE) && python benchmarks/what_a_word_moves.py
	chromium --headless --no-sandbox --hide-scrollbars --window-size=1280,1500 \
	  --virtual-time-budget=4000 --screenshot=docs/report-page.png results/demo/report.html

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
