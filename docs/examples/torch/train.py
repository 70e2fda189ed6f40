"""A PyTorch loop that logs 200 steps.

    mltrack run --seed 3 -- python train.py
"""

import os

import mltrack
import torch

torch.manual_seed(int(os.environ.get("MLTRACK_SEED", "0")))
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)

x = torch.linspace(-3, 3, 256).unsqueeze(1)
y = torch.sin(x)
model = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
mltrack.log_params({"optimizer": "adam", "lr": 0.01})

for step in range(200):
    loss = torch.nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    mltrack.log({"loss": loss}, step=step)
print(f"loss: {loss.item():.6f}")

with open("weights.bin", "wb") as file:
    for parameter in model.parameters():
        file.write(parameter.detach().numpy().tobytes())
