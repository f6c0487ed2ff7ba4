"""Tries the node without an engine: `krt test`."""

import unittest

from krt.testing import FakeContext, run
import main


class Converting(unittest.TestCase):
    def test_texts_become_values(self):
        row = {"line": 2, "id": " a1 ", "day": "2024-02-29", "amount": "9.5"}
        answer = run(main.handler, {"rows": [row]})
        self.assertEqual(answer["rows"], [{"id": "a1", "day": "2024-02-29", "amount": 9.5}])
        self.assertEqual(answer["problems"], [])

    def test_wrong_rows_become_problems(self):
        good = {"line": 2, "id": "a1", "day": "2024-02-01", "amount": "1"}
        changes = [
            {"id": ""},
            {"day": "2023-02-29"},
            {"amount": "dear"},
            {"amount": "-1"},
            {"amount": None},
        ]
        rows = [{**good, **change, "line": line} for line, change in enumerate(changes, 2)]
        context = FakeContext()
        answer = run(main.handler, {"rows": rows}, context=context)
        self.assertEqual(answer["rows"], [])
        self.assertEqual([problem["line"] for problem in answer["problems"]], [2, 3, 4, 5, 6])
        self.assertEqual(context.measurements[0]["fields"], {"good": 0, "wrong": 5})
