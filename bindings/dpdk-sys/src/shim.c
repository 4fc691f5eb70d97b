#define _GNU_SOURCE /* fopencookie; DPDK's flags may define it already */
#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>

#include "shim.h"

#if RTE_VERSION < RTE_VERSION_NUM(22, 11, 0, 0)
#error "DPDK is older than 22.11; build.rs refuses that, so pkg-config and the compiler see different headers"
#endif

int
shim_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **frames, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, frames, count);
}

void
shim_free(struct rte_mbuf *frame)
{
	rte_pktmbuf_free(frame);
}

int
shim_chain(struct rte_mbuf *head, struct rte_mbuf *tail)
{
	return rte_pktmbuf_chain(head, tail);
}

uint16_t
shim_pool_data_room(struct rte_mempool *pool)
{
	return rte_pktmbuf_data_room_size(pool);
}

uint32_t
shim_pool_size(const struct rte_mempool *pool)
{
	return pool->size;
}

const char *
shim_pool_name(const struct rte_mempool *pool)
{
	return pool->name;
}

unsigned int
shim_ring_enqueue_burst(struct rte_ring *ring, void *const *objects, unsigned int count)
{
	return rte_ring_enqueue_burst(ring, objects, count, NULL);
}

unsigned int
shim_ring_dequeue_burst(struct rte_ring *ring, void **objects, unsigned int count)
{
	return rte_ring_dequeue_burst(ring, objects, count, NULL);
}

unsigned int
shim_ring_count(const struct rte_ring *ring)
{
	return rte_ring_count(ring);
}

int
shim_errno(void)
{
	return rte_errno;
}

unsigned int
shim_lcore_id(void)
{
	return rte_lcore_id();
}

int
shim_link(uint16_t port, struct shim_link *link)
{
	struct rte_eth_link now = {0};
	int failed = rte_eth_link_get_nowait(port, &now);

	if (failed)
		return failed;
	link->speed_mbps = now.link_speed;
	link->up = now.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = now.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	link->autonegotiated = now.link_autoneg == RTE_ETH_LINK_AUTONEG;
	return 0;
}

static void (*log_write)(uint32_t level, const char *bytes, size_t length);

static ssize_t
log_stream_write(void *cookie, const char *bytes, size_t length)
{
	/* Before the thread's first message the level is unset, and read as 0 or -1. */
	int level = rte_log_cur_msg_loglevel();

	(void)cookie;
	log_write(level > 0 ? (uint32_t)level : RTE_LOG_INFO, bytes, length);
	return (ssize_t)length;
}

int
shim_log_to(void (*write)(uint32_t level, const char *bytes, size_t length))
{
	cookie_io_functions_t functions = {.write = log_stream_write};
	FILE *stream = fopencookie(NULL, "w", functions);

	if (stream == NULL)
		return -1;
	/* Line by line, so that a line is written by the thread that logged it and carries that thread's level. */
	if (setvbuf(stream, NULL, _IOLBF, 0) != 0) {
		fclose(stream);
		return -1;
	}
	log_write = write;
	return rte_openlog_stream(stream);
}
