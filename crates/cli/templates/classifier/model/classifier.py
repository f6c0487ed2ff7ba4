"""A naive Bayes classifier, with the methods of scikit-learn's estimators."""

import json
import math
import statistics


class Classifier:
    def fit(self, rows, labels):
        """Learns the mean and the deviation of each feature, for each label."""
        self.classes_ = sorted(set(labels))
        self.features_ = []
        for label in self.classes_:
            columns = zip(*(row for row, of in zip(rows, labels) if of == label))
            self.features_.append(
                [(statistics.mean(column), statistics.stdev(column)) for column in columns]
            )
        return self

    def predict_proba(self, rows):
        """The probability of each label, in the order of `classes_`, for each row."""
        return [self._probabilities(row) for row in rows]

    def _probabilities(self, row):
        logarithms = [
            sum(
                -(((x - mean) / deviation) ** 2) / 2 - math.log(deviation)
                for x, (mean, deviation) in zip(row, of)
            )
            for of in self.features_
        ]
        largest = max(logarithms)
        weights = [math.exp(logarithm - largest) for logarithm in logarithms]
        return [weight / sum(weights) for weight in weights]

    def save(self, path):
        with open(path, "w") as file:
            json.dump({"classes": self.classes_, "features": self.features_}, file, indent=1)
            file.write("\n")

    @classmethod
    def load(cls, path):
        model = cls()
        with open(path) as file:
            loaded = json.load(file)
        model.classes_, model.features_ = loaded["classes"], loaded["features"]
        return model
