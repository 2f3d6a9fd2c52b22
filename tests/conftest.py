import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("labelweave", deadline=None)
settings.load_profile("labelweave")
