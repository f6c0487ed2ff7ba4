"""Tries the node without an engine: `krt test`."""

import unittest

from krt.testing import run
import main


class Parsing(unittest.TestCase):
    def test_each_row_has_its_line(self):
        table = "amount,id,day,more\n9.5,a1,2024-02-01,x\n\n7,a2,2024-02-02,y\n"
        self.assertEqual(
            run(main.handler, {"csv": table})["rows"],
            [
                {"line": 2, "id": "a1", "day": "2024-02-01", "amount": "9.5"},
                {"line": 4, "id": "a2", "day": "2024-02-02", "amount": "7"},
            ],
        )

    def test_a_table_without_a_column_is_refused(self):
        with self.assertRaisesRegex(ValueError, "no column day, amount"):
            run(main.handler, {"csv": "id\na1\n"})
