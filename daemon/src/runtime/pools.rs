//! The pools of packet buffers that were made so far.
//!
//! A pool lives until the EAL is cleaned up, so a restart of the ports takes the pool that an earlier plan left, where it
//! fits, and makes another one where none does.

use config::NumaNode;
use dpdk::{Eal, Mempool, MempoolConfig, Reuse};

use super::RunError;
use crate::plan::{POOL_CACHE, Plan, PoolPlan};

/// All pools.
pub(super) struct Pools<'eal> {
    eal: &'eal Eal,
    made: Vec<Made<'eal>>,
}

struct Made<'eal> {
    pool: Mempool<'eal>,
    node: Option<NumaNode>,
    is_shared: bool,
    /// Buffers that drivers may have kept in the rings of ports that were closed.
    kept: u32,
}

impl<'eal> Pools<'eal> {
    /// None yet.
    pub(super) fn new(eal: &'eal Eal) -> Self {
        Self { eal, made: Vec::new() }
    }

    /// The pools of a plan, in its order; what there is not is made. The plan learns their names.
    pub(super) fn fit(&mut self, plan: &mut Plan) -> Result<Vec<Mempool<'eal>>, RunError> {
        let mut fitting: Vec<Mempool<'eal>> = Vec::new();
        for wanted in &mut plan.pools {
            let found = self.made.iter().find(|made| {
                made.suits(wanted) && !made.is_worn() && !fitting.contains(&made.pool)
            });
            let pool = match found {
                Some(made) => made.pool,
                None => self.make(wanted)?,
            };
            pool.name().clone_into(&mut wanted.name);
            fitting.push(pool);
        }
        Ok(fitting)
    }

    fn make(&mut self, wanted: &PoolPlan) -> Result<Mempool<'eal>, RunError> {
        let config = MempoolConfig {
            buffers: wanted.buffers,
            cache: POOL_CACHE.min(wanted.buffers / 4),
            data_room: wanted.data_room,
            socket: wanted.node.map(|node| node.0),
            reuse: if wanted.is_shared { Reuse::Last } else { Reuse::Usual },
        };
        let stem = wanted.name.as_str();
        let is_free = |name: &String| self.made.iter().all(|made| made.pool.name() != name);
        let numbered = (2..=self.made.len() + 1).map(|number| format!("{stem}-{number}"));
        let name = std::iter::once(stem.to_owned())
            .chain(numbered)
            .find(is_free)
            .expect("there are more names than pools");
        let pool = match Mempool::create(self.eal, &name, config) {
            Err(error) if config.reuse == Reuse::Last => {
                // Its handler is a plug-in of DPDK's, which may not be installed.
                tracing::warn!(
                    pool = name,
                    error = &error as &dyn std::error::Error,
                    "buffers can not be reused last in, first out; staged mode will be slower"
                );
                let usual = MempoolConfig { reuse: Reuse::Usual, ..config };
                Mempool::create(self.eal, &name, usual)
            }
            made => made,
        };
        let pool = pool.map_err(RunError::Pool)?;
        self.made.push(Made { pool, node: wanted.node, is_shared: wanted.is_shared, kept: 0 });
        Ok(pool)
    }

    /// A port was closed or is set up again: so many buffers its driver may have kept in the old rings.
    pub(super) fn may_keep(&mut self, pool: Mempool<'eal>, buffers: u32) {
        if let Some(made) = self.made.iter_mut().find(|made| made.pool == pool) {
            made.kept = made.kept.saturating_add(buffers);
        }
    }

    /// With all ports closed: is every buffer back, but for what drivers keep? Says so.
    pub(super) fn are_whole(&self) -> bool {
        let mut all_back = true;
        for Made { pool, kept, .. } in &self.made {
            let missing = pool.in_use();
            let (pool, buffers) = (pool.name(), pool.capacity());
            if missing == 0 {
                tracing::info!(pool, buffers, missing, "all buffers are back in their pool");
            } else if missing <= *kept {
                // net_af_xdp does not empty its fill queue when it is closed.
                tracing::warn!(pool, buffers, missing, kept, "a driver kept buffers of its rings");
            } else {
                tracing::error!(pool, buffers, missing, kept, "buffers are lost");
                all_back = false;
            }
        }
        all_back
    }
}

impl Made<'_> {
    fn suits(&self, wanted: &PoolPlan) -> bool {
        let pool = &self.pool;
        (self.node, pool.capacity(), pool.data_room(), self.is_shared)
            == (wanted.node, wanted.buffers, wanted.data_room, wanted.is_shared)
    }

    /// Drivers have kept so many buffers at earlier restarts that the rest may not do.
    fn is_worn(&self) -> bool {
        self.kept > 0 && self.pool.available() < self.pool.capacity() / 2
    }
}
