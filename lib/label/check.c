/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings by name, and what one area by itself gives rise to. */
#include "base/bits.h"
#include "base/cleanup.h"
#include "label/scan.h"

static const struct {
	const char *name, *danger;
} findings[] = {
#define ROW(symbol, text, harm) [UNTORN_LABEL_FINDING_##symbol] = {.name = (text), .danger = (harm)},
	UNTORN_LABEL_FINDINGS(ROW)
#undef ROW
};

const char *untorn_label_finding_name(enum untorn_label_finding_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(findings) ? findings[kind].name : "unknown";
}

const char *untorn_label_finding_danger(enum untorn_label_finding_kind kind)
{
	return (size_t)kind < ARRAY_SIZE(findings) ? findings[kind].danger : "unknown";
}

int untorn_label_check(struct untorn_label_area *area, untorn_label_finding_fn fn, void *arg)
{
	const struct untorn_label_mapping mapping = {.area = area};
	const struct label_report report = {.fn = fn, .arg = arg};
	_cleanup_(scan_release) struct label_scan scan;

	return scan_read(&mapping, 1, &report, &scan);
}
