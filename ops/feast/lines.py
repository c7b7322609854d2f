"""What the suites of this folder print of their tests."""
import unittest


class Lines(unittest.TestResult):
    """A line a test; a failure with the end of its trace."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def line(self, word, test, text=""):
        print(f"{word:8} {test.id().rpartition('.')[2]}{': ' + text if text else ''}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("skipped", test, reason)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.line("FAILED", test, self.failures[-1][1].strip()[-3_000:])

    def addError(self, test, error):
        super().addError(test, error)
        self.line("FAILED", test, self.errors[-1][1].strip()[-3_000:])
