/* SPDX-License-Identifier: BSD-3-Clause */
#include "btt/flog.h"

static bool slot_is_zero(const struct btt_flog_slot *s)
{
	return is_zero(s, sizeof(*s));
}

int flog_detect_padding(const struct btt_flog_group *groups, uint32_t nfree, enum untorn_btt_padding *ret_padding)
{
	bool used[BTT_FLOG_SLOTS] = {false};

	for (uint32_t l = 0; l < nfree; l++) {
		/* A live slot 0 is written at format and never zero again. */
		if (slot_is_zero(&groups[l].slot[0]))
			return -EUCLEAN;
		for (unsigned s = 1; s < BTT_FLOG_SLOTS; s++)
			used[s] |= !slot_is_zero(&groups[l].slot[s]);
	}
	if (used[3] || (used[1] && used[2]))
		return -EUCLEAN;
	*ret_padding = used[2] ? UNTORN_BTT_PADDING_02 : UNTORN_BTT_PADDING_01;
	return 0;
}

int flog_current(uint32_t seq0, uint32_t seq1)
{
	if (seq0 > 3 || seq1 > 3 || seq0 == seq1)
		return -EUCLEAN;
	if (seq0 == 0)
		return 1;
	if (seq1 == 0)
		return seq0 == 1 ? 0 : -EUCLEAN;
	return flog_next_seq(seq0) == seq1 ? 1 : 0;
}

void flog_slot_store(struct untorn_media *media, struct btt_flog_slot *s, struct flog_slot v)
{
	media_store64(media, (le64 *)&s->lba, (uint64_t)v.old_map << 32 | v.lba);
	media_store64(media, (le64 *)&s->new_map, (uint64_t)v.seq << 32 | v.new_map);
}

struct btt_flog_group flog_initial_group(uint32_t lane, uint32_t external_nlba, uint32_t flag)
{
	uint32_t block = (external_nlba + lane) | flag;

	return (struct btt_flog_group){
		.slot[0] =
			{
				.lba = le32_make(lane % external_nlba),
				.old_map = le32_make(block),
				.new_map = le32_make(block),
				.seq = le32_make(1),
			},
	};
}
