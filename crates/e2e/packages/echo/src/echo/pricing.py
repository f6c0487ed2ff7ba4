"""A module beside the node's file; it imports messages that are in a folder of the package."""

from parts.money_pb2 import Money


def total(items):
    return Money(cents=sum(item.price.cents for item in items)).cents
