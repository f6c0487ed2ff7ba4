"""placeholder"""


def install(descriptors: str) -> None:
    """placeholder"""
