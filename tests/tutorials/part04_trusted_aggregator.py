"""Models that are averaged by a third party whom both data owners trust: the program sees their mean alone.

After PySyft's tutorial 04. `move` takes a model from worker to worker, past this process.
"""

import torch
from torch import nn, optim

import fedzmq as sy

hook = sy.TorchHook(torch)
bob = sy.VirtualWorker(hook, id="bob")
alice = sy.VirtualWorker(hook, id="alice")
secure_worker = sy.VirtualWorker(hook, id="secure_worker")
bob.add_workers([alice, secure_worker])
alice.add_workers([bob, secure_worker])
secure_worker.add_workers([alice, bob])

data = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1.0]])
target = torch.tensor([[0], [0], [1], [1.0]])
bobs_data, bobs_target = data[0:2].send(bob), target[0:2].send(bob)
alices_data, alices_target = data[2:].send(alice), target[2:].send(alice)

torch.manual_seed(0)
model = nn.Linear(2, 1)

iterations = 10
worker_iters = 5

for _ in range(iterations):
    # Each worker trains a copy of its own for a while,
    bobs_model = model.copy().send(bob)
    alices_model = model.copy().send(alice)
    bobs_opt = optim.SGD(params=bobs_model.parameters(), lr=0.1)
    alices_opt = optim.SGD(params=alices_model.parameters(), lr=0.1)
    for _ in range(worker_iters):
        bobs_opt.zero_grad()
        bobs_loss = ((bobs_model(bobs_data) - bobs_target) ** 2).sum()
        bobs_loss.backward()
        bobs_opt.step()
        bobs_loss = bobs_loss.get().data

        alices_opt.zero_grad()
        alices_loss = ((alices_model(alices_data) - alices_target) ** 2).sum()
        alices_loss.backward()
        alices_opt.step()
        alices_loss = alices_loss.get().data

    # both copies go to the one whom all trust,
    alices_model.move(secure_worker)
    bobs_model.move(secure_worker)

    # and their mean, which is taken there, comes here.
    with torch.no_grad():
        model.weight.set_(((alices_model.weight.data + bobs_model.weight.data) / 2).get())
        model.bias.set_(((alices_model.bias.data + bobs_model.bias.data) / 2).get())

    print(f"Bob: {bobs_loss} Alice: {alices_loss}")

preds = model(data)
loss = ((preds - target) ** 2).sum()
print(preds, target, loss.data, sep="\n")
