"""The inputs that an engine is fed, from NumPy files."""

import numpy


class Images:
    """The images of a .npy file [N,H,W,3], float32, in the layout an engine likes."""

    def __init__(self, path, nchw=False):
        images = numpy.load(path)
        self.images = numpy.ascontiguousarray(images.transpose(0, 3, 1, 2) if nchw else images)

    def batch(self, size):
        """[size,...], the images over and over."""
        return numpy.ascontiguousarray(
            numpy.resize(self.images, (size, *self.images.shape[1:])))

    def each(self):
        """Batches of one image."""
        return [numpy.ascontiguousarray(image[None]) for image in self.images]


def flat(logits):
    """What the protocol carries for one image."""
    return numpy.asarray(logits, dtype=numpy.float64).reshape(-1).tolist()
