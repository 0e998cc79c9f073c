"""A convolutional network on handwritten digits that two workers hold: the loops of plain torch, and four lines more.

After PySyft's tutorial 06, with scikit-learn's digits in place of MNIST: 8 by 8 pixels, and nothing to download.
"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from sklearn.datasets import load_digits

import fedzmq as sy

hook = sy.TorchHook(torch)
bob = sy.VirtualWorker(hook, id="bob")
alice = sy.VirtualWorker(hook, id="alice")


class Arguments:
    def __init__(self):
        self.batch_size = 32
        self.test_batch_size = 100
        self.epochs = 3
        self.lr = 0.1
        self.no_cuda = False
        self.seed = 1
        self.log_interval = 10


args = Arguments()
use_cuda = not args.no_cuda and torch.cuda.is_available()
torch.manual_seed(args.seed)
device = torch.device("cuda" if use_cuda else "cpu")
kwargs = {"num_workers": 1, "pin_memory": True} if use_cuda else {}


class Digits(torch.utils.data.Dataset):
    """Images of one channel; every tenth is kept for the test."""

    def __init__(self, train, transform):
        digits = load_digits()
        chosen = (np.arange(len(digits.target)) % 10 != 0) == train
        self.images, self.targets = digits.images[chosen], digits.target[chosen]
        self.transform = transform

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return self.transform(self.images[index]), int(self.targets[index])


def transform(image):
    return (torch.tensor(image, dtype=torch.float32).unsqueeze(0) / 16 - 0.3) / 0.4


# The data set is spread over the workers, and so is what loads it; the test data stay here.
federated_train_loader = sy.FederatedDataLoader(
    Digits(True, transform).federate((bob, alice)), batch_size=args.batch_size, shuffle=True, **kwargs
)
test_loader = torch.utils.data.DataLoader(
    Digits(False, transform), batch_size=args.test_batch_size, shuffle=True, **kwargs
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.fc1 = nn.Linear(2 * 2 * 16, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2, 2)
        x = x.view(-1, 2 * 2 * 16)
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def train(args, model, device, federated_train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(federated_train_loader):
        model.send(data.location)
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        model.get()
        if batch_idx % args.log_interval == 0:
            loss = loss.get()
            seen, of = batch_idx * args.batch_size, len(federated_train_loader) * args.batch_size
            print(f"epoch {epoch} [{seen}/{of} ({100.0 * seen / of:.0f}%)]\tloss {loss.item():.6f}")


def test(args, model, device, test_loader):
    model.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    accuracy = correct / len(test_loader.dataset)
    print(f"test: loss {test_loss / len(test_loader.dataset):.4f}, accuracy {accuracy:.3f}")
    return accuracy


model = Net().to(device)
optimizer = optim.SGD(model.parameters(), lr=args.lr)
for epoch in range(1, args.epochs + 1):
    train(args, model, device, federated_train_loader, optimizer, epoch)
    accuracy = test(args, model, device, test_loader)
