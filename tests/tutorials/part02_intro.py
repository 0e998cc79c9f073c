"""Federated learning at its smallest: two workers with two rows each, and one model that visits both in turn.

After PySyft's tutorial 02. Adam keeps averages of gradients, so that each worker gets an optimizer of its own.
"""

import torch
from torch import nn, optim

import fedzmq as sy
from fedzmq import Optims

hook = sy.TorchHook(torch)
bob = sy.VirtualWorker(hook, id="bob")
alice = sy.VirtualWorker(hook, id="alice")

# Four rows, of which the first column is what is to be learnt.
data = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1.0]])
target = torch.tensor([[0], [0], [1], [1.0]])

# The rows go to the workers; what stays here are pointers.
datasets = [
    (data[0:2].send(bob), target[0:2].send(bob)),
    (data[2:].send(alice), target[2:].send(alice)),
]


def train(model, optimizer_at, rounds):
    losses = []
    for _ in range(rounds):
        for data, target in datasets:
            # The model goes to the data,
            model.send(data.location)
            opt = optimizer_at(data.location.id)
            # is trained there as it would be here,
            opt.zero_grad()
            pred = model(data)
            loss = ((pred - target) ** 2).sum()
            loss.backward()
            opt.step()
            # and comes back with what it learnt.
            model.get()
            losses.append(loss.get())
            print(losses[-1])
    return losses


torch.manual_seed(0)
model = nn.Linear(2, 1)
opt = optim.SGD(params=model.parameters(), lr=0.1)
sgd_losses = train(model, lambda worker: opt, 20)

model = nn.Linear(2, 1)
optims = Optims(["bob", "alice"], optim=optim.Adam(params=model.parameters(), lr=0.1))
adam_losses = train(model, optims.get_optim, 20)
