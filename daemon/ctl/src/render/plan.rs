//! `barewire plan`

use api::{Plan, PlanQueue};

use super::{
    Page, known,
    paint::Paint,
    status::warnings,
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::count,
};

pub(crate) fn draw(plan: &Plan, paint: Paint) -> String {
    let mut page = Page::new(paint);
    page.fact("mode", &plan.mode);
    page.fact("keeps", format_args!("CPUs {} for everything else", plan.housekeeping));
    page.fact("EAL", plan.eal_args.join(" "));

    let mut workers = Table::new([
        ("WORKER", Right),
        ("CPU", Right),
        ("NODE", Right),
        ("ROLE", Left),
        ("RECEIVES", Left),
        ("SENDS", Left),
    ]);
    for worker in &plan.workers {
        workers.row([
            worker.worker.to_string().into(),
            worker.cpu.to_string().into(),
            known(worker.node),
            Cell::from(&worker.role),
            queues(&worker.rx),
            queues(&worker.tx),
        ]);
    }
    page.table("", &workers);

    let mut ports = Table::new([
        ("PORT", Left),
        ("NODE", Right),
        ("RX QUEUES", Right),
        ("TX QUEUES", Right),
        ("POOL", Left),
        ("DEVICE", Left),
    ]);
    for port in &plan.ports {
        ports.row([
            Cell::from(&port.name),
            known(port.node),
            port.rx_queues.to_string().into(),
            port.tx_queues.to_string().into(),
            Cell::from(&port.pool),
            Cell::from(&port.device),
        ]);
    }
    page.table("", &ports);

    let mut pools =
        Table::new([("POOL", Left), ("NODE", Right), ("BUFFERS", Right), ("BYTES EACH", Right)]);
    for pool in &plan.pools {
        pools.row([
            Cell::from(&pool.name),
            known(pool.node),
            count(pool.buffers.into()).into(),
            count(pool.data_room.into()).into(),
        ]);
    }
    page.table("", &pools);

    let mut rings = Table::new([("RING", Left), ("FRAMES", Right)]);
    for ring in &plan.rings {
        let way = format!("worker {} → worker {}", ring.from, ring.to);
        rings.row([way.into(), count(ring.capacity as u64).into()]);
    }
    page.table("", &rings);

    let mut cpus = Table::new([("CPU", Right), ("WHY", Left)]);
    for role in &plan.cpus {
        cpus.row([role.cpu.to_string().into(), Cell::from(&role.reason)]);
    }
    page.table("", &cpus);
    warnings(&mut page, &plan.warnings);
    page.finish()
}

/// `north/0 south/0`
fn queues(queues: &[PlanQueue]) -> Cell {
    if queues.is_empty() {
        return Cell::none();
    }
    let names: Vec<String> =
        queues.iter().map(|queue| format!("{}/{}", queue.port, queue.queue)).collect();
    names.join(" ").into()
}
