.PHONY: check setup bench
setup: ; scripts/setup --dev
check: ; scripts/check
bench: ; scripts/bench
