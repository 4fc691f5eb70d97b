/* What Rust can not call by itself: DPDK's inline functions, its macros, and the few spots where the supported releases
 * differ in their API. Everything else is declared by DPDK's own headers and bound directly.
 *
 * A function here does what the DPDK function of its name does, no more, so the rules of that function hold. On the data
 * path there is one call per burst. Fields of a frame are read in Rust, through the offsets of wrapper.h.
 */
#ifndef BAREWIRE_DPDK_SHIM_H
#define BAREWIRE_DPDK_SHIM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

/* rte_pktmbuf_alloc_bulk, rte_pktmbuf_free, rte_pktmbuf_chain. */
int shim_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **frames, unsigned int count);
void shim_free(struct rte_mbuf *frame);
int shim_chain(struct rte_mbuf *head, struct rte_mbuf *tail);

/* rte_pktmbuf_data_room_size, and what struct rte_mempool says of itself. */
uint16_t shim_pool_data_room(struct rte_mempool *pool);
uint32_t shim_pool_size(const struct rte_mempool *pool);
const char *shim_pool_name(const struct rte_mempool *pool);

/* rte_ring_enqueue_burst, rte_ring_dequeue_burst and rte_ring_count. */
unsigned int shim_ring_enqueue_burst(struct rte_ring *ring, void *const *objects, unsigned int count);
unsigned int shim_ring_dequeue_burst(struct rte_ring *ring, void **objects, unsigned int count);
unsigned int shim_ring_count(const struct rte_ring *ring);

/* rte_errno and rte_lcore_id() of the calling thread. */
int shim_errno(void);
unsigned int shim_lcore_id(void);

/* rte_eth_link_get_nowait. The bit fields of struct rte_eth_link moved into an anonymous union in 24.11. */
struct shim_link {
	uint32_t speed_mbps;
	uint8_t up;
	uint8_t full_duplex;
	uint8_t autonegotiated;
};
int shim_link(uint16_t port, struct shim_link *link);

/* Sends everything that DPDK logs to write(level, bytes, length), in pieces that mostly are whole lines, with a lock held
 * that belongs to the stream. The stream stays for the rest of the process. Returns 0, or -1 with errno set. */
int shim_log_to(void (*write)(uint32_t level, const char *bytes, size_t length));

#endif
