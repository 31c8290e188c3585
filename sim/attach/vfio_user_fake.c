/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfio_user_fake.h"

/* What the server has to have checked before it calls. */
static void expect(bool condition)
{
	if (!condition)
		abort();
}

static uint64_t size_of(unsigned int region)
{
	static const uint64_t size[VQNIC_REGIONS] = {
		[0] = FAKE_BAR0_SIZE,
		[2] = FAKE_BAR2_SIZE,
		[4] = FAKE_BAR4_SIZE,
		[VQNIC_REGION_CONFIG] = FAKE_CONFIG_SIZE,
	};

	expect(region < VQNIC_REGIONS);
	return size[region];
}

void fake_init(struct vqnic *nic)
{
	memset(nic, 0, sizeof(*nic));
	for (size_t i = 0; i < sizeof(nic->bar0); i++)
		nic->bar0[i] = (uint8_t)(i * 7 + 1);
	for (unsigned int i = 0; i < VQNIC_IRQS; i++)
		for (unsigned int v = 0; v < FAKE_VECTORS; v++)
			nic->eventfd[i][v] = -1;
	nic->fail_vector = -1;
	nic->bar4_fd = memfd_create("bar4", MFD_CLOEXEC);
	if (nic->bar4_fd < 0 || ftruncate(nic->bar4_fd, FAKE_BAR4_SIZE))
		abort();
}

void fake_fini(struct vqnic *nic)
{
	for (unsigned int i = 0; i < nic->dones; i++)
		free(nic->done[i].data);
	for (unsigned int i = 0; i < VQNIC_IRQS; i++)
		for (unsigned int v = 0; v < FAKE_VECTORS; v++)
			if (nic->eventfd[i][v] >= 0)
				close(nic->eventfd[i][v]);
	close(nic->bar4_fd);
}

int vqnic_region_info(struct vqnic *nic, unsigned int fn, unsigned int region,
		      struct vqnic_region_info *info)
{
	if (fn)
		return -ENODEV;
	if (region >= VQNIC_REGIONS)
		return -EINVAL;
	*info = (struct vqnic_region_info){
		.fd = -1, .flags = VQNIC_REGION_READ | VQNIC_REGION_WRITE, .size = size_of(region)};
	switch (region) {
	case 0:
	case VQNIC_REGION_CONFIG:
		break;
	case 2:
		info->flags = VQNIC_REGION_READ;
		break;
	case 4:
		info->flags |= VQNIC_REGION_MMAP;
		info->fd = nic->bar4_fd;
		info->nr_areas = 2;
		info->areas[0].offset = 4096;
		info->areas[0].size = 4096;
		info->areas[1].offset = 12288;
		info->areas[1].size = 4096;
		break;
	default:
		info->flags = 0;
	}
	return 0;
}

int vqnic_region_read(struct vqnic *nic, unsigned int fn, unsigned int region, uint64_t off,
		      void *buf, size_t len)
{
	expect(!fn && len && off <= size_of(region) && len <= size_of(region) - off);
	if (region == 0)
		memcpy(buf, nic->bar0 + off, len);
	else if (region == VQNIC_REGION_CONFIG)
		memcpy(buf, nic->config + off, len);
	else
		memset(buf, 0xff, len);
	return 0;
}

int vqnic_region_write(struct vqnic *nic, unsigned int fn, unsigned int region, uint64_t off,
		       const void *buf, size_t len)
{
	struct fake_write *write = &nic->write[nic->writes % FAKE_WRITES];

	expect(!fn && region != 2 && len && off <= size_of(region) && len <= size_of(region) - off);
	*write = (struct fake_write){.region = region, .offset = off, .len = len};
	memcpy(write->data, buf, len < sizeof(write->data) ? len : sizeof(write->data));
	nic->writes++;
	if (region == 0)
		memcpy(nic->bar0 + off, buf, len);
	else if (region == VQNIC_REGION_CONFIG)
		memcpy(nic->config + off, buf, len);
	return 0;
}

int vqnic_reset(struct vqnic *nic, unsigned int fn)
{
	nic->resets++;
	return fn ? -ENODEV : 0;
}

int vqnic_detach(struct vqnic *nic, unsigned int fn)
{
	nic->detaches++;
	nic->maps = 0;
	for (unsigned int i = 0; i < VQNIC_IRQS; i++)
		for (unsigned int v = 0; v < FAKE_VECTORS; v++)
			if (nic->eventfd[i][v] >= 0) {
				close(nic->eventfd[i][v]);
				nic->eventfd[i][v] = -1;
			}
	return fn ? -ENODEV : 0;
}

int vqnic_irq_count(struct vqnic *nic, unsigned int fn, unsigned int index)
{
	(void)nic;
	if (fn)
		return -ENODEV;
	switch (index) {
	case VQNIC_IRQ_INTX:
		return 1;
	case VQNIC_IRQ_MSIX:
		return FAKE_VECTORS;
	default:
		return index < VQNIC_IRQS ? 0 : -EINVAL;
	}
}

int vqnic_irq_set_eventfd(struct vqnic *nic, unsigned int fn, unsigned int index,
			  unsigned int vector, int fd)
{
	int *mine;

	expect(!fn && (int)vector < vqnic_irq_count(nic, fn, index));
	mine = &nic->eventfd[index][vector];
	if (fd >= 0 && (int)vector == nic->fail_vector)
		return -EMFILE;
	if (*mine >= 0)
		close(*mine);
	*mine = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

int vqnic_irq_mask(struct vqnic *nic, unsigned int fn, unsigned int index, unsigned int vector,
		   bool masked)
{
	expect(!fn && index == VQNIC_IRQ_INTX && vector == 0);
	nic->masked = masked;
	return 0;
}

int vqnic_irq_trigger(struct vqnic *nic, unsigned int fn, unsigned int index, unsigned int vector)
{
	uint64_t one = 1;
	int fd;

	expect(!fn && (int)vector < vqnic_irq_count(nic, fn, index));
	fd = nic->eventfd[index][vector];
	nic->triggered[vector]++;
	return fd >= 0 && write(fd, &one, sizeof(one)) != sizeof(one) ? -errno : 0;
}

int vqnic_dma_map(struct vqnic *nic, unsigned int fn, const struct vqnic_dma_map *map)
{
	struct stat st = {0};

	expect(!fn && map->size && map->size - 1 <= UINT64_MAX - map->iova && map->prot < 4);
	for (unsigned int i = 0; i < nic->maps; i++)
		if (nic->map[i].iova <= map->iova + (map->size - 1) &&
		    map->iova <= nic->map[i].iova + (nic->map[i].size - 1))
			return -EEXIST;
	if (nic->maps == FAKE_MAPS)
		return -ENOSPC;
	if (map->fd >= 0 && fstat(map->fd, &st))
		return -errno;
	nic->map[nic->maps++] = (struct fake_map){.iova = map->iova,
						  .size = map->size,
						  .offset = map->offset,
						  .prot = map->prot,
						  .has_fd = map->fd >= 0,
						  .inode = st.st_ino};
	return 0;
}

int vqnic_dma_unmap(struct vqnic *nic, unsigned int fn, uint32_t asid, uint64_t iova, uint64_t size,
		    uint64_t *unmapped)
{
	expect(!fn && !asid && !unmapped && (size ? size - 1 <= UINT64_MAX - iova : !iova));
	nic->unmaps++;
	nic->unmapped = (struct fake_map){.iova = iova, .size = size};
	for (unsigned int i = 0; i < nic->maps;)
		if ((!size && !iova) || (nic->map[i].iova >= iova &&
					 nic->map[i].iova - iova + (nic->map[i].size - 1) < size))
			nic->map[i] = nic->map[--nic->maps];
		else
			i++;
	return 0;
}

int vqnic_dma_set_ops(struct vqnic *nic, unsigned int fn, const struct vqnic_dma_ops *ops,
		      void *ctx)
{
	nic->ops = ops;
	nic->ctx = ctx;
	return fn ? -ENODEV : 0;
}

int vqnic_dma_complete(struct vqnic *nic, unsigned int fn, uint64_t token, int status,
		       const void *data, uint32_t len)
{
	struct fake_done *done;

	(void)fn;
	if (nic->dones == FAKE_DONE)
		return -ENOENT;
	done = &nic->done[nic->dones++];
	*done = (struct fake_done){.token = token, .status = status, .len = len};
	if (len) {
		done->data = malloc(len);
		expect(done->data);
		memcpy(done->data, data, len);
	}
	return 0;
}
