"""A module beside the node's file, which imports a message of another folder."""

from types.money_pb2 import Money
