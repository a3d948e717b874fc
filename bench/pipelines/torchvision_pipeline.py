"""torchvision's transforms on Pillow images in a DataLoader with a worker process for each CPU,
that stay from pass to pass. Debian's python3-torchvision."""

import random

import torch
import torchvision
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from PIL import Image

SIZE = 299
METHODS = (InterpolationMode.BILINEAR, InterpolationMode.NEAREST, InterpolationMode.BICUBIC,
           InterpolationMode.BOX)
SIGNED = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)]


class CentralPart:
    def __call__(self, image):
        width, height = image.size
        return transforms.functional.center_crop(image, (height * 7 // 8, width * 7 // 8))


def make_transform(mode):
    if mode == "eval":
        return transforms.Compose([CentralPart(), transforms.Resize((SIZE, SIZE)), *SIGNED])
    fast = mode == "train"
    def crop(method):
        return transforms.RandomResizedCrop(SIZE, (0.05, 1.0), (0.75, 1.33), interpolation=method)
    colors = (transforms.ColorJitter(32 / 255, 0, 0.5, 0) if fast
              else transforms.ColorJitter(32 / 255, 0.5, 0.5, 0.2))
    return transforms.Compose([
        crop(METHODS[0]) if fast else transforms.RandomChoice([crop(m) for m in METHODS]),
        transforms.RandomHorizontalFlip(), colors, *SIGNED])


class Files(torch.utils.data.Dataset):
    def __init__(self, files, transform):
        self.files, self.transform = files, transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with Image.open(self.files[i]) as image:
            return self.transform(image.convert("RGB"))


class Pipeline:
    version = f"{torchvision.__version__}, PyTorch {torch.__version__}"

    def __init__(self, mode, threads, files):
        self.settings = {"num_workers": threads, "batch_size": 16, "persistent_workers": True}
        torch.set_num_threads(1)
        random.seed(1)
        self.loader = torch.utils.data.DataLoader(Files(files, make_transform(mode)),
                                                  **self.settings)

    def run(self):
        return sum(len(batch) for batch in self.loader)
