"""Trains a CycleGAN between good pictures and those with one defect (Zhu et al. 2017).

Least-squares adversarial losses, cycle and identity losses, and a pool of earlier forgeries for the discriminators. A
loop of its own: Lightning would add two optimisers by hand and nothing that is needed here.

[choice] A good picture does not say where its defect should be, nor does a cleaned one say where it was: one generator
for many answers learns none (Almahairi et al. 2018). So what cleaning takes from a defective picture wanders: mirrored
and moved, it is given to the other generator together with the good picture, and unmoved to close the cycle.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from defectdistill.models.cyclegan import Discriminator, Generator

POOL = 50  # forgeries that are kept
MOMENTA = (0.5, 0.999)  # of Adam, as published


@dataclass(frozen=True)
class Rates:
    """How a CycleGAN is trained: `steps` of `batch_size` pictures, `lr` of the generators (of the discriminators half
    as much [choice]; both fall to 0 over the second half), and the weights of the cycle and identity losses."""

    steps: int
    batch_size: int
    lr: float
    cycle: float
    identity: float


class Pool:
    """Earlier forgeries, of which each picture that comes in is exchanged for one with even chances."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.kept = rng, []

    def exchanged(self, images: torch.Tensor) -> torch.Tensor:
        """Return (N, 3, H, W), detached: each picture itself, or an earlier one in whose place it is kept."""
        shown = []
        for image in images.detach():
            if len(self.kept) < POOL:
                self.kept.append(image)
            elif self.rng.random() < 0.5:
                place = int(self.rng.integers(POOL))
                image, self.kept[place] = self.kept[place], image
            shown.append(image)
        return torch.stack(shown)


def real(verdicts: torch.Tensor) -> torch.Tensor:
    """Least-squares loss of verdicts that should say: real → scalar."""
    return F.mse_loss(verdicts, torch.ones_like(verdicts))


def forged(verdicts: torch.Tensor) -> torch.Tensor:
    """Least-squares loss of verdicts that should say: forged → scalar."""
    return F.mse_loss(verdicts, torch.zeros_like(verdicts))


class CycleGAN(nn.Module):
    """Takes defects from pictures, puts them on others, and has a discriminator for either side.

    Pictures are (N, 3, H, W) in −1…1. `channels` of a change: 1 for grey photographs, else 3.
    """

    def __init__(self, width: int, blocks: int, channels: int = 3):
        super().__init__()
        self.put, self.take = Generator(6, channels, width, blocks), Generator(3, channels, width, blocks)
        self.is_defect, self.is_good = Discriminator(width), Discriminator(width)

    def to_good(self, defect: torch.Tensor) -> torch.Tensor:
        """Return pictures without their defects."""
        return (defect + self.take(defect)).clamp(-1, 1)

    def to_defect(self, good: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
        """Return good pictures with what was taken from others, (N, 3, H, W) too, blended in."""
        return (good + taken + self.put(torch.cat([good, taken], dim=1))).clamp(-1, 1)

    def generators_loss(
        self, good: torch.Tensor, defect: torch.Tensor, rates: Rates, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pictures of both sides → the generators' loss, and the forged defects and good pictures."""
        to_good = self.to_good(defect)
        taken = defect - to_good
        to_defect = self.to_defect(good, moved(taken.detach(), rng))
        fooled = real(self.is_defect(to_defect)) + real(self.is_good(to_good))
        back = F.l1_loss(self.to_good(to_defect), good) + F.l1_loss(self.to_defect(to_good, taken), defect)
        same = F.l1_loss(to_good, defect) + F.l1_loss(self.to_good(good), good)
        return fooled + rates.cycle * back + rates.identity * same, to_defect, to_good

    def discriminators_loss(self, good: torch.Tensor, defect: torch.Tensor, forgeries: tuple) -> torch.Tensor:
        """Real pictures of both sides and forged (defects, good ones) → the discriminators' loss."""
        defects, goods = forgeries
        of_defects = real(self.is_defect(defect)) + forged(self.is_defect(defects))
        return (of_defects + real(self.is_good(good)) + forged(self.is_good(goods))) / 2


def moved(taken: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return what was taken from pictures (N, C, H, W), each mirrored with even chances in both directions and moved by
    up to a fifth of its sides; what leaves on one side comes in on the other.

    Less its median: what changed in the whole picture is no defect, and would show as a seam.
    """
    taken = taken - taken.flatten(2).median(dim=2).values[..., None, None]
    far = [side // 5 for side in taken.shape[-2:]]
    mirrored = [[axis for axis in (-2, -1) if rng.random() < 0.5] for _ in taken]
    steps = [[int(rng.integers(-most, most + 1)) for most in far] for _ in taken]
    return torch.stack(
        [each.flip(axes).roll(step, (-2, -1)) for each, axes, step in zip(taken, mirrored, steps, strict=True)]
    )


def scaled(images: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 3) → float32 (N, 3, H, W) in −1…1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def grey(images: np.ndarray) -> bool:
    """Return whether pictures uint8 (N, H, W, 3) have no colour."""
    return bool((images == images[..., :1]).all())


def train_cyclegan(
    good: np.ndarray, defect: np.ndarray, width: int, blocks: int, rates: Rates, seed: int, words: str
) -> CycleGAN:
    """Return a CycleGAN trained on pictures uint8 (N, S, S, 3) of both sides, S divisible by 8; `words` name it.

    The same pictures and `seed` give the same bytes with the same number of threads.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CycleGAN(width, blocks, channels=1 if grey(good) and grey(defect) else 3)
    rng = np.random.default_rng(seed)
    pools = Pool(rng), Pool(rng)
    makers = [*model.put.parameters(), *model.take.parameters()]
    judges = [*model.is_defect.parameters(), *model.is_good.parameters()]
    optimisers = [torch.optim.Adam(makers, rates.lr, MOMENTA), torch.optim.Adam(judges, rates.lr / 2, MOMENTA)]

    def falling(step: int) -> float:
        return min(1.0, 2 * (1 - step / rates.steps))

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimiser, falling) for optimiser in optimisers]
    for _ in tqdm(range(rates.steps), desc=words, unit=" steps", disable=None):
        real_good, real_defect = (scaled(drawn(side, rates.batch_size, rng)) for side in (good, defect))
        loss, *forgeries = model.generators_loss(real_good, real_defect, rates, rng)
        stepped(optimisers[0], loss)
        shown = tuple(pool.exchanged(images) for pool, images in zip(pools, forgeries, strict=True))
        stepped(optimisers[1], model.discriminators_loss(real_good, real_defect, shown))
        for schedule in schedules:
            schedule.step()
    return model.eval()


def drawn(images: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` pictures, each mirrored with even chances in both directions."""
    picked = images[rng.integers(len(images), size=count)]
    return np.stack([image[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])] for image in picked])


def stepped(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Make one step."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
