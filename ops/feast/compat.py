#!/usr/bin/env python3
"""compat [--server feast|tidemark|both] [--filter TEXT] [--feast-statuses]: an unmodified Feast SDK against a server of Feast's wire.

The SDK has `online_store: {type: remote}`; every test asks through it or, where it hides something, over plain HTTP. Servers,
rows and a Redis are made for the run. `feast` is Feast 0.67 on Redis, which proves that the tests are right; `tidemark` is
`tidemark serve` (TIDEMARK_BIN, or the newest build). Prints a line a test, and where the two promise different things.
Ends with 0 only if no test failed; 77 if the server isn't there to be tested."""
import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest
import warnings

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
warnings.simplefilter("ignore")
import os  # noqa: E402

import lines  # noqa: E402
import stage  # noqa: E402

os.environ.update(stage.feast_environment())
import rows  # noqa: E402


def run_suite(name, url, folder, options):
    """Runs the tests against one server. The result."""
    from feast import FeatureStore

    import suite

    suite.Suite.imitates = options.feast_statuses
    suite.Suite.server, suite.Suite.url, suite.Suite.folder = name, url, folder
    # A repository that asks this server. Feast answers mistakes with 500, which its SDK asks for again, up to three seconds long.
    repo = folder / f"client-{name}"
    shutil.copytree(folder / "remote", repo, dirs_exist_ok=True)
    config = (repo / "feature_store.yaml").read_text()
    config = re.sub(r'path: "http[^"]*"', f'path: "{url}"', config)
    if name == "tidemark":
        config = config.replace(", connection_retries: 1", "")
    (repo / "feature_store.yaml").write_text(config)
    suite.Suite.store = FeatureStore(repo_path=str(repo))
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(suite.Suite)
    if options.filter:
        tests = unittest.TestSuite(test for test in tests if options.filter in test.id())
    result = lines.Lines()
    print(f"== {name}: {url}", flush=True)
    tests.run(result)
    for test, trace in result.failures + result.errors:
        print(f"\n-- {test.id().rpartition('.')[2]}\n{trace.strip()}")
    failed = len(result.failures) + len(result.errors)
    print(f"== {name}: {result.passed} passed, {failed} failed, {len(result.skipped)} skipped", flush=True)
    return failed == 0 and result.passed > 0


def main():
    parser = argparse.ArgumentParser(prog="ops/feast/compat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["feast", "tidemark", "both"], default="both")
    parser.add_argument("--filter", default="", help="only tests with this in their name")
    parser.add_argument("--feast-statuses", action="store_true", help="Tidemark with serve.feast_statuses: feast")
    parser.add_argument("--keep", action="store_true", help="leaves the folder, and says where it is")
    options = parser.parse_args()
    with_tidemark = options.server != "feast"
    if with_tidemark and not stage.has_serve(stage.tidemark_program()):
        print(f"compat: {stage.tidemark_program()} has no command serve", file=sys.stderr)
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-feast."))
    servers, good, start = [], True, time.monotonic()
    try:
        servers.append(redis := stage.Redis(folder))
        # The registry is made by Feast in any case: the SDK needs one.
        rows.make(folder, redis.port, 200, feast=options.server != "tidemark", tidemark=with_tidemark, registry=True,
                  serve=", feast_statuses: feast" if options.feast_statuses else "")
        for name in ("feast", "tidemark"):
            if options.server in (name, "both"):
                server = stage.FeastServer(folder / "feast") if name == "feast" else stage.TidemarkServer(folder)
                servers.append(server)
                good = run_suite(name, server.url, folder, options) and good
                if not good:
                    print(server.tail()[-2000:])
        import suite

        if suite.differences:
            print(f"\n{'where Feast on Redis and Tidemark differ':52} {'Feast':22} Tidemark")
            for what, (feast, tidemark) in suite.differences.items():
                print(f"{what:52} {feast!s:22} {tidemark!s}")
        print(f"== {time.monotonic() - start:.0f} s")
        return 0 if good else 1
    finally:
        for server in reversed(servers):
            server.stop()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    stage.end_on_sigterm()
    try:
        sys.exit(main())
    except stage.Trouble as trouble:
        sys.exit(f"compat: {trouble}")
