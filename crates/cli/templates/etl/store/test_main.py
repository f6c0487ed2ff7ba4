"""Tries the node without an engine: `krt test`."""

import unittest

from krt.testing import FakeContext, run
import main


class Storing(unittest.TestCase):
    def test_a_row_is_stored_once(self):
        rows = [{"id": name, "day": "2024-02-01", "amount": 1.5} for name in ("a1", "a2", "a1")]
        problems = [{"line": 5, "reason": "id is missing"}]
        context = FakeContext()
        answer = run(main.handler, {"rows": rows, "problems": problems}, context=context)
        self.assertEqual(answer, {"stored": 2, "known": 1, "problems": problems})
        self.assertEqual([row["id"] for row in context.saved("sales")], ["a1", "a2"])
