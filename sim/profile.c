/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles: one NIC each, an INI file in which every number has its source
 *
 * How it works. `keys` says for each "section.key" what its value looks like and where it goes, so
 * that reading is one walk over a table. libinih cuts lines into section, key and value, but does
 * not tell its handler the line: the reader that feeds it counts them, and refuses what no profile
 * needs (lines of more than LINE_LIMIT characters, files of more than LINES_LIMIT lines), so that a
 * wrong file name can't keep us busy. The first thing that is wrong ends it, with one sentence.
 *
 * A list of features may go on over indented lines. Any other key may be given once.
 *
 * What no single value can say (a feature that needs another) is checked at the end, over the sum
 * of file and overrides.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile.h"
#include "spec.h"
#include "util.h"

#define LINE_LIMIT  190 /* libinih cuts longer lines (INI_MAX_LINE) */
#define LINES_LIMIT 4096
#define KEYS_LIMIT  64

enum kind { K_NUMBER, K_POWER, K_BOOL, K_MAC, K_CHOICE, K_FEATURES };

/* One value of a K_CHOICE; a table of them ends with a NULL name. */
struct choice {
	const char *name;
	unsigned int value;
};

/**
 * struct key - a key of the file
 * @size: bytes of the member at @offset
 * @zero: K_POWER: 0 is allowed too
 */
struct key {
	const char *section, *name;
	enum kind kind;
	size_t offset, size;
	uint64_t min, max;
	bool zero;
	bool required;
	const struct choice *choices;
};

static const struct choice personalities[] = {
	{"virtio-pci", PERSONALITY_VIRTIO_PCI},
	{"ifcvf", PERSONALITY_IFCVF},
	{NULL, 0},
};

static const struct choice lm_layouts[] = {
	{"linux", LM_LAYOUT_LINUX},
	{"dpdk", LM_LAYOUT_DPDK},
	{NULL, 0},
};

static const struct choice fabrics[] = {
	{"direct", FABRIC_DIRECT},
	{"delayed", FABRIC_DELAYED},
	{NULL, 0},
};

/* The features that the datapath serves; others of VIRTIO 1.4 can't be offered. */
static const struct choice features[] = {
	{"csum", VN_NET_F_CSUM},
	{"guest_csum", VN_NET_F_GUEST_CSUM},
	{"mtu", VN_NET_F_MTU},
	{"mac", VN_NET_F_MAC},
	{"guest_tso4", VN_NET_F_GUEST_TSO4},
	{"guest_tso6", VN_NET_F_GUEST_TSO6},
	{"guest_ecn", VN_NET_F_GUEST_ECN},
	{"host_tso4", VN_NET_F_HOST_TSO4},
	{"host_tso6", VN_NET_F_HOST_TSO6},
	{"host_ecn", VN_NET_F_HOST_ECN},
	{"mrg_rxbuf", VN_NET_F_MRG_RXBUF},
	{"status", VN_NET_F_STATUS},
	{"ctrl_vq", VN_NET_F_CTRL_VQ},
	{"ctrl_rx", VN_NET_F_CTRL_RX},
	{"ctrl_vlan", VN_NET_F_CTRL_VLAN},
	{"guest_announce", VN_NET_F_GUEST_ANNOUNCE},
	{"mq", VN_NET_F_MQ},
	{"ctrl_mac_addr", VN_NET_F_CTRL_MAC_ADDR},
	{"guest_uso4", VN_NET_F_GUEST_USO4},
	{"guest_uso6", VN_NET_F_GUEST_USO6},
	{"host_uso", VN_NET_F_HOST_USO},
	{"speed_duplex", VN_NET_F_SPEED_DUPLEX},
	{"any_layout", VN_F_ANY_LAYOUT},
	{"indirect_desc", VN_F_INDIRECT_DESC},
	{"event_idx", VN_F_EVENT_IDX},
	{"version_1", VN_F_VERSION_1},
	{"access_platform", VN_F_ACCESS_PLATFORM},
	{"ring_packed", VN_F_RING_PACKED},
	{"order_platform", VN_F_ORDER_PLATFORM},
	{"notification_data", VN_F_NOTIFICATION_DATA},
	{"ring_reset", VN_F_RING_RESET},
	{NULL, 0},
};

/* VIRTIO 1.4, 5.1.3.1: @feature needs one of @any. */
static const struct {
	unsigned int feature;
	uint64_t any;
} dependencies[] = {
	{VN_NET_F_GUEST_TSO4, VN_BIT(VN_NET_F_GUEST_CSUM)},
	{VN_NET_F_GUEST_TSO6, VN_BIT(VN_NET_F_GUEST_CSUM)},
	{VN_NET_F_GUEST_ECN, VN_BIT(VN_NET_F_GUEST_TSO4) | VN_BIT(VN_NET_F_GUEST_TSO6)},
	{VN_NET_F_GUEST_USO4, VN_BIT(VN_NET_F_GUEST_CSUM)},
	{VN_NET_F_GUEST_USO6, VN_BIT(VN_NET_F_GUEST_CSUM)},
	{VN_NET_F_HOST_TSO4, VN_BIT(VN_NET_F_CSUM)},
	{VN_NET_F_HOST_TSO6, VN_BIT(VN_NET_F_CSUM)},
	{VN_NET_F_HOST_ECN, VN_BIT(VN_NET_F_HOST_TSO4) | VN_BIT(VN_NET_F_HOST_TSO6)},
	{VN_NET_F_HOST_USO, VN_BIT(VN_NET_F_CSUM)},
	{VN_NET_F_CTRL_RX, VN_BIT(VN_NET_F_CTRL_VQ)},
	{VN_NET_F_CTRL_VLAN, VN_BIT(VN_NET_F_CTRL_VQ)},
	{VN_NET_F_GUEST_ANNOUNCE, VN_BIT(VN_NET_F_CTRL_VQ)},
	{VN_NET_F_MQ, VN_BIT(VN_NET_F_CTRL_VQ)},
	{VN_NET_F_CTRL_MAC_ADDR, VN_BIT(VN_NET_F_CTRL_VQ)},
};

static int lacking_row(uint64_t set)
{
	for (size_t i = 0; i < ARRAY_SIZE(dependencies); i++)
		if (set & VN_BIT(dependencies[i].feature) && !(set & dependencies[i].any))
			return (int)i;
	return -1;
}

int features_lacking(uint64_t set)
{
	int row = lacking_row(set);

	return row < 0 ? -1 : (int)dependencies[row].feature;
}

#define AT(member) offsetof(struct profile, member), sizeof(((struct profile *)0)->member)
#define NUMBER(section, member, lo, hi)                                            \
	{                                                                          \
		section, #member, K_NUMBER, AT(member), lo, hi, false, false, NULL \
	}
#define ID(section, member)                                                          \
	{                                                                            \
		section, #member, K_NUMBER, AT(member), 0, 0xffff, false, true, NULL \
	}

static const struct key keys[] = {
	{"nic", "personality", K_CHOICE, AT(personality), 0, 0, false, true, personalities},
	ID("nic", vendor_id),
	ID("nic", device_id),
	ID("nic", subsystem_vendor_id),
	ID("nic", subsystem_id),
	NUMBER("nic", revision, 0, 255),

	{"virtio", "features", K_FEATURES, AT(features), 0, 0, false, true, features},
	NUMBER("virtio", queue_pairs, 1, 32),
	{"virtio", "queue_size", K_POWER, AT(queue_size), 2, 32768, false, false, NULL},
	NUMBER("virtio", window, 1, 256),
	NUMBER("virtio", rx_fifo, 1, 65536),
	NUMBER("virtio", irq_interval_us, 0, 1000000),
	NUMBER("virtio", mac_table, 1, PROFILE_MAC_TABLE_MAX),
	{"virtio", "mac", K_MAC, AT(mac), 0, 0, false, true, NULL},
	NUMBER("virtio", mtu, 68, 65535),
	NUMBER("virtio", speed_mbps, 1, INT32_MAX),
	NUMBER("virtio", vectors, 0, 2048),

	{"ifcvf", "lm_layout", K_CHOICE, AT(lm_layout), 0, 0, false, false, lm_layouts},

	{"pci", "notify_multiplier", K_POWER, AT(notify_multiplier), 2, 65536, true, false, NULL},
	{"pci", "notify_mmap", K_BOOL, AT(notify_mmap), 0, 0, false, false, NULL},

	{"fabric", "fabric", K_CHOICE, AT(fabric), 0, 0, false, false, fabrics},
	NUMBER("fabric", max_delay_ps, 1, UINT64_C(1000000000000)),
	NUMBER("fabric", max_dma_maps, 1, 1u << 20),

	NUMBER("live", poll_us, 0, 1000000),
	NUMBER("live", nap_us, 0, 1000000),
};

_Static_assert(ARRAY_SIZE(keys) <= KEYS_LIMIT, "a bit each in struct reading.seen");

/* What a profile that leaves a key out gets. */
static const struct profile defaults = {
	.revision = 1, /* VIRTIO 1.4, 4.1.2.1: not transitional */
	.queue_pairs = 1,
	.queue_size = 256,
	.window = 64,
	.rx_fifo = 512,
	.mac_table = 64,
	.mtu = 1500,
	.speed_mbps = 10000,
	.lm_layout = LM_LAYOUT_LINUX,
	.notify_multiplier = 4,
	.fabric = FABRIC_DIRECT,
	.max_delay_ps = 1200000,
	.max_dma_maps = 65535,
	.poll_us = 50,
	.nap_us = 0,
};

/**
 * struct reading - a profile on its way in
 * @where: for sentences: the file; NULL while an override is read
 * @line:  number of the line that the reader gave last
 * @seen:  keys that the file gave, by index in `keys`
 * @last_line, @last_key: where the key whose list may go on stands
 */
struct reading {
	struct profile *out;
	struct vqnic_error *err;
	const char *where;
	const char *override;
	FILE *file;
	unsigned int line;
	bool indented;
	uint64_t seen;
	const struct key *last_key;
	int ret;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reading *r, const char *format, ...)
{
	size_t len = r->where ? strlen(r->where) : 0;
	const char *where = len > 120 ? r->where + len - 120 : r->where;
	char what[320];
	va_list args;

	if (r->ret) /* the first one counts */
		return r->ret;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (r->override)
		snprintf(r->err->text, sizeof(r->err->text), "override '%.100s': %s", r->override,
			 what);
	else if (r->line)
		snprintf(r->err->text, sizeof(r->err->text), "%s:%u: %s", where, r->line, what);
	else
		snprintf(r->err->text, sizeof(r->err->text), "%s: %s", where, what);
	r->ret = -EINVAL;
	return r->ret;
}

/* Names of a table one behind the other, for sentences. */
static const char *choice_names(const struct choice *c, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (; c->name && at < size; c++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? ", " : "", c->name);
	return buf;
}

static const char *feature_name(unsigned int bit)
{
	for (const struct choice *c = features; c->name; c++)
		if (c->value == bit)
			return c->name;
	return "?";
}

/* ---- Values -------------------------------------------------------------------------------- */

static void store(struct profile *out, const struct key *key, uint64_t value)
{
	/* Members are little-endian unsigned integers (or enums) of key->size bytes. */
	memcpy((char *)out + key->offset, &value, key->size);
}

static int set_number(struct reading *r, const struct key *key, const char *value)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(value, &end, 0);
	if (!isdigit((unsigned char)value[0]) || *end)
		return refuse(r, "[%s] %s = '%.40s' is not a number", key->section, key->name,
			      value);
	if (key->kind == K_POWER && !n && key->zero) {
		store(r->out, key, 0);
		return 0;
	}
	if (key->kind == K_POWER && (errno || n < key->min || n > key->max || n & (n - 1)))
		return refuse(r, "[%s] %s = %.40s: must be %sa power of two from %llu to %llu",
			      key->section, key->name, value, key->zero ? "0 or " : "",
			      (unsigned long long)key->min, (unsigned long long)key->max);
	if (errno || n < key->min || n > key->max)
		return refuse(r, "[%s] %s = %.40s: must be from %llu to %llu", key->section,
			      key->name, value, (unsigned long long)key->min,
			      (unsigned long long)key->max);
	store(r->out, key, n);
	return 0;
}

static int set_bool(struct reading *r, const struct key *key, const char *value)
{
	bool on = !strcmp(value, "true") || !strcmp(value, "yes") || !strcmp(value, "on") ||
		  !strcmp(value, "1");
	bool off = !strcmp(value, "false") || !strcmp(value, "no") || !strcmp(value, "off") ||
		   !strcmp(value, "0");

	if (!on && !off)
		return refuse(r, "[%s] %s = '%.40s': must be true or false", key->section,
			      key->name, value);
	store(r->out, key, on);
	return 0;
}

static int set_mac(struct reading *r, const struct key *key, const char *value)
{
	uint8_t mac[6], any = 0;
	const char *p = value;

	for (unsigned int i = 0; i < sizeof(mac); i++) {
		char digits[3] = {p[0], p[0] ? p[1] : '\0', '\0'};

		if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]) ||
		    p[2] != (i < 5 ? ':' : '\0'))
			return refuse(r, "[%s] %s = '%.40s': must look like 02:00:00:00:00:01",
				      key->section, key->name, value);
		mac[i] = (uint8_t)strtoul(digits, NULL, 16);
		any |= mac[i];
		p += 3;
	}
	if (mac[0] & 1 || !any)
		return refuse(r, "[%s] %s = %s: a NIC's own address is neither multicast nor zero",
			      key->section, key->name, value);
	memcpy((char *)r->out + key->offset, mac, sizeof(mac));
	return 0;
}

static int set_choice(struct reading *r, const struct key *key, const char *value)
{
	char names[200];

	for (const struct choice *c = key->choices; c->name; c++) {
		if (!strcmp(c->name, value)) {
			store(r->out, key, c->value);
			return 0;
		}
	}
	return refuse(r, "[%s] %s = '%.40s': must be one of %s", key->section, key->name, value,
		      choice_names(key->choices, names, sizeof(names)));
}

/*
 * A list separated by blanks or commas. A first name with a sign changes what is there ("+mq
 * -csum", for overrides); without one the list replaces it, or adds to it on an indented line.
 */
static int set_features(struct reading *r, const struct key *key, const char *value, bool more)
{
	uint64_t set = more ? r->out->features : 0;
	const char *p = value + strspn(value, " \t,");

	if (*p == '+' || *p == '-')
		set = r->out->features;
	while (*p) {
		size_t len = strcspn(p, " \t,");
		const char *name = p;
		const struct choice *c;
		char sign = '+';

		p += len;
		p += strspn(p, " \t,");
		if (*name == '+' || *name == '-') {
			sign = *name++;
			len--;
		}
		for (c = key->choices; c->name; c++)
			if (strlen(c->name) == len && !memcmp(c->name, name, len))
				break;
		if (!c->name)
			return refuse(r, "[%s] %s: '%.*s' is no feature that this NIC serves",
				      key->section, key->name, (int)(len < 40 ? len : 40), name);
		if (sign == '+')
			set |= VN_BIT(c->value);
		else
			set &= ~VN_BIT(c->value);
	}
	r->out->features = set;
	return 0;
}

static int set_value(struct reading *r, const struct key *key, const char *value, bool more)
{
	switch (key->kind) {
	case K_NUMBER:
	case K_POWER:
		return set_number(r, key, value);
	case K_BOOL:
		return set_bool(r, key, value);
	case K_MAC:
		return set_mac(r, key, value);
	case K_CHOICE:
		return set_choice(r, key, value);
	case K_FEATURES:
		return set_features(r, key, value, more);
	}
	return -EINVAL;
}

/* ---- File ---------------------------------------------------------------------------------- */

static bool section_known(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].section, section))
			return true;
	return false;
}

/* @section NULL: any. -1: no such key. */
static int find_key(const char *section, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if ((!section || !strcmp(keys[i].section, section)) && !strcmp(keys[i].name, name))
			return (int)i;
	return -1;
}

static int handle(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	const struct key *key;
	int i;

	if (r->ret)
		return 0;
	if (!*section)
		return !refuse(r, "'%.40s' stands before any [section]", name);
	if (!section_known(section))
		return !refuse(r, "no section [%.40s] in a profile", section);
	i = find_key(section, name);
	if (i < 0)
		return !refuse(r, "no key '%.40s' in [%s]", name, section);
	key = &keys[i];
	if (r->seen & VN_BIT(i) && !(r->indented && r->last_key == key && key->kind == K_FEATURES))
		return !refuse(r, "[%s] %s is given twice", section, name);
	if (!*value)
		return !refuse(r, "[%s] %s has no value", section, name);
	set_value(r, key, value, r->seen & VN_BIT(i));
	r->seen |= VN_BIT(i);
	r->last_key = key;
	return !r->ret;
}

/* fgets() for libinih, which counts lines and stops at the first fault. */
static char *read_line(char *buf, int size, void *stream)
{
	struct reading *r = stream;
	const char *end;
	size_t len;

	if (r->ret || !fgets(buf, size, r->file))
		return NULL;
	r->line++;
	len = strlen(buf);
	r->indented = buf[0] == ' ' || buf[0] == '\t';
	if (len > LINE_LIMIT || (len && buf[len - 1] != '\n' && !feof(r->file))) {
		refuse(r, "a line of more than %d characters, or with a NUL in it", LINE_LIMIT);
		return NULL;
	}
	if (r->line > LINES_LIMIT) {
		refuse(r, "more than %d lines; is this a profile?", LINES_LIMIT);
		return NULL;
	}
	end = strchr(buf, ']');
	if (buf[0] == '[' && end) { /* libinih tells of sections only when they hold a key */
		char section[LINE_LIMIT + 1] = "";

		memcpy(section, buf + 1, (size_t)(end - buf - 1));
		if (!section_known(section))
			refuse(r, "no section [%.40s] in a profile", section);
	}
	return r->ret ? NULL : buf;
}

static int read_file(struct reading *r, const char *path)
{
	int line;

	r->file = fopen(path, "re");
	if (!r->file) {
		int err = errno;

		refuse(r, "cannot be read: %s", strerror(err));
		return err == ENOMEM ? -ENOMEM : err == ENOENT ? -ENOENT : -EINVAL;
	}
	line = ini_parse_stream(read_line, r, handle, r);
	if (!r->ret && ferror(r->file)) {
		r->line = 0;
		refuse(r, "cannot be read: it is a directory or a broken file");
	}
	fclose(r->file);
	r->file = NULL;
	if (!r->ret && line) {
		r->line = line > 0 ? (unsigned int)line : 0;
		refuse(r, "neither a [section], nor key = value, nor a # comment");
	}
	r->line = 0;
	return r->ret;
}

/* ---- Overrides, and what holds for the whole ------------------------------------------------- */

static int apply_override(struct reading *r, const char *text)
{
	const char *eq = strchr(text, '='), *dot;
	char name[64], *point;
	int i;

	r->override = text;
	if (!eq || eq == text || (size_t)(eq - text) >= sizeof(name))
		return refuse(r, "must look like key=value or section.key=value");
	memcpy(name, text, (size_t)(eq - text));
	name[eq - text] = '\0';
	dot = memchr(name, '.', strlen(name));
	if (dot) {
		point = name + (dot - name);
		*point = '\0';
		i = find_key(name, point + 1);
		*point = '.';
	} else {
		i = find_key(NULL, name);
	}
	if (i < 0)
		return refuse(r, "no key '%s' in a profile", name);
	set_value(r, &keys[i], eq + 1, false);
	r->seen |= VN_BIT(i);
	r->override = NULL;
	return r->ret;
}

static int check_features(struct reading *r)
{
	uint64_t set = r->out->features;
	int lacking = lacking_row(set);

	if (lacking >= 0)
		return refuse(
			r, "[virtio] features: %s needs %s",
			feature_name(dependencies[lacking].feature),
			feature_name((unsigned int)__builtin_ctzll(dependencies[lacking].any)));
	/* Both personalities speak the modern interface only (VIRTIO 1.4, 6.1). */
	if (!(set & VN_BIT(VN_F_VERSION_1)))
		return refuse(r, "[virtio] features: version_1 is missing");
	if (r->out->queue_pairs > 1 && !(set & VN_BIT(VN_NET_F_MQ)))
		return refuse(r, "[virtio] queue_pairs = %u needs the feature mq",
			      r->out->queue_pairs);
	/* A notification with data is a 32-bit write to a place of its own (4.1.5.2). */
	if (set & VN_BIT(VN_F_NOTIFICATION_DATA) && r->out->notify_multiplier == 2)
		return refuse(r, "[pci] notify_multiplier = 2 is too small for notification_data");
	return 0;
}

static int check_whole(struct reading *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].required && !(r->seen & VN_BIT(i)))
			return refuse(r, "[%s] %s is missing", keys[i].section, keys[i].name);
	return check_features(r);
}

/* ---- Where profiles are ---------------------------------------------------------------------- */

static int try_path(const char *dir, size_t dir_len, const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%.*s/%s.ini", (int)dir_len, dir, name);

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return access(path, R_OK) ? -ENOENT : 0;
}

int vqnic_profile_path(const char *profile, char *path, size_t size)
{
	static const char *const built_in[] = {VN_PROFILES_SOURCE, VN_PROFILES_INSTALLED};
	const char *dirs = getenv("VQNIC_PROFILES");
	int ret;

	if (strchr(profile, '/')) {
		if (strlen(profile) >= size)
			return -ENAMETOOLONG;
		memcpy(path, profile, strlen(profile) + 1);
		return access(path, F_OK) ? -ENOENT : 0;
	}
	if (!*profile || strlen(profile) >= sizeof(((struct profile *)0)->name))
		return *profile ? -ENAMETOOLONG : -ENOENT;
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");

		ret = len ? try_path(dirs, len, profile, path, size) : -ENOENT;
		if (ret != -ENOENT)
			return ret;
		dirs += len;
		dirs += *dirs == ':';
	}
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++) {
		ret = try_path(built_in[i], strlen(built_in[i]), profile, path, size);
		if (ret != -ENOENT)
			return ret;
	}
	return -ENOENT;
}

static int find_file(const char *profile, char *path, size_t size, struct vqnic_error *err)
{
	const char *dirs = getenv("VQNIC_PROFILES");
	int ret = vqnic_profile_path(profile, path, size);

	if (ret == -ENOENT && strchr(profile, '/'))
		snprintf(err->text, sizeof(err->text), "no profile %.300s: there is no such file",
			 profile);
	else if (ret == -ENOENT)
		snprintf(
			err->text, sizeof(err->text),
			"no profile '%.60s' in %.120s%s%.120s or %.100s; name one of those there, or a "
			"file by a path with a '/'",
			profile, dirs ? dirs : "", dirs && *dirs ? ", " : "", VN_PROFILES_SOURCE,
			VN_PROFILES_INSTALLED);
	else if (ret)
		snprintf(err->text, sizeof(err->text), "the profile's name '%.60s…' is too long",
			 profile);
	return ret;
}

/* "dir/ifcvf.ini" is called ifcvf. */
static void name_of(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/');
	size_t len;

	base = base ? base + 1 : path;
	len = strlen(base);
	if (len > 4 && !strcmp(base + len - 4, ".ini"))
		len -= 4;
	if (len >= size)
		len = size - 1;
	memcpy(name, base, len);
	name[len] = '\0';
}

int profile_load(const char *profile, const char *const *overrides, struct profile *out,
		 struct vqnic_error *err)
{
	struct vqnic_error unread;
	struct reading r = {.out = out, .err = err ? err : &unread};
	char path[PATH_MAX];
	int ret;

	ret = find_file(profile, path, sizeof(path), r.err);
	if (ret)
		return ret;
	*out = defaults;
	r.where = path;
	name_of(path, out->name, sizeof(out->name));
	ret = read_file(&r, path);
	for (; !ret && overrides && *overrides; overrides++)
		ret = apply_override(&r, *overrides);
	if (!ret)
		ret = check_whole(&r);
	return ret;
}
