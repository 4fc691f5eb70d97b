//! barewired as it is installed: from its package, under systemd, as its own user, on NICs that barewire-tune gave to
//! vfio-pci behind a real IOMMU. One module for each story.

#![expect(clippy::unwrap_used, reason = "what the stories' helpers do is part of them")]

mod faults;
mod forwards;
mod instances;
mod packages;
mod restarts;
mod site;
mod tuned;
mod unconfirmed;
