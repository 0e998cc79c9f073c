"""Data that are on the workers already, are found by their tags, and become one federated data set.

After PySyft's tutorial 07, with scikit-learn's diabetes in place of Boston's houses, which it no longer has.
"""

import torch
from sklearn.datasets import load_diabetes

import fedzmq as sy

hook = sy.TorchHook(torch)
bob = sy.VirtualWorker(hook, id="bob")
alice = sy.VirtualWorker(hook, id="alice")
compute_nodes = [bob, alice]
grid = sy.PrivateGridNetwork(*compute_nodes)

# The owners put their rows on their workers and say what they are.
features, targets = load_diabetes(return_X_y=True)
features = torch.tensor(features / features.std(0), dtype=torch.float32)
targets = torch.tensor((targets - targets.mean()) / targets.std(), dtype=torch.float32)
held = [
    column.clone().tag("#diabetes", what).describe("women and men, ten measurements").send(worker)
    for all_rows, what in ((features, "#data"), (targets, "#target"))
    for worker, column in zip(compute_nodes, all_rows.tensor_split(len(compute_nodes)), strict=True)
]

# Whoever wants to learn from them looks for them.
diabetes_data = grid.search("#diabetes", "#data")
diabetes_target = grid.search("#diabetes", "#target")

n_features = diabetes_data["alice"][0].shape[1]
n_targets = 1
torch.manual_seed(0)
model = torch.nn.Linear(n_features, n_targets)

datasets = []
for worker in diabetes_data:
    datasets.append(sy.BaseDataset(diabetes_data[worker][0], diabetes_target[worker][0]))
dataset = sy.FederatedDataset(datasets)
print(dataset.workers)

optimizers = {}
for worker in dataset.workers:
    optimizers[worker] = torch.optim.Adam(params=model.parameters(), lr=1e-2)

train_loader = sy.FederatedDataLoader(dataset, batch_size=32, shuffle=False, drop_last=False)

epochs = 20
total_losses = []
for epoch in range(1, epochs + 1):
    loss_accum = 0
    for batch_idx, (data, target) in enumerate(train_loader):
        model.send(data.location)

        optimizer = optimizers[data.location.id]
        optimizer.zero_grad()
        pred = model(data)
        loss = ((pred.view(-1) - target) ** 2).mean()
        loss.backward()
        optimizer.step()

        model.get()
        loss = loss.get()
        loss_accum += float(loss)
        if batch_idx % 8 == 0:
            done = 100.0 * batch_idx / len(train_loader)
            print(f"epoch {epoch} [{batch_idx}/{len(train_loader)} ({done:.0f}%)]\tbatch loss {loss.item():.6f}")
    total_losses.append(loss_accum)
    print("total loss", loss_accum)
