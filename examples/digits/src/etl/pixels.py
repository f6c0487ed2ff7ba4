"""Turns the pixels of a request into what the model reads."""

SIZE = 64
INK = 16


def check(pixels):
    """Raises ValueError unless the pixels are those of one image."""
    if len(pixels) != SIZE:
        raise ValueError(f"an image has {SIZE} pixels, not {len(pixels)}")
    for place, pixel in enumerate(pixels):
        if pixel > INK:
            raise ValueError(f"pixel {place} is {pixel}, the most is {INK}")


def is_blank(pixels):
    """Whether there is no ink at all."""
    return not any(pixels)


def scale(pixels):
    """The pixels as numbers from 0 to 1."""
    return [pixel / INK for pixel in pixels]
