/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `check` and `check-namespace` do: look at a volume, print what is found, plan a repair, apply it.
 *
 * A repair checks twice under one lock: first the plan, which is printed in full before anything is written, then the
 * same again with the steps applied.
 */
#include <inttypes.h>

#include "cli.h"

/* Findings, or steps, of one kind that are printed without --all. */
enum { SHOWN_OF_A_KIND = 100 };

/* What the callbacks work on. */
struct checking {
	const struct check_request *request;
	struct progress progress;
	uint64_t findings[UNTORN_FINDING_KINDS], steps[UNTORN_FINDING_KINDS]; /* of the current pass */
	uint64_t nsteps, mendable, mendable_with_force;
	FILE *plan;      /* the text of the steps, kept until the findings are out */
	char *plan_text; /* what is in it */
	size_t plan_size;
};

/* ------------------------------------------------------------------ text ------------------------------------------ */

/* How seen and expected of a finding read best. */
enum number_style { STYLE_DECIMAL, STYLE_BELOW, STYLE_HEX, STYLE_NONE };

/* How to show each kind: the numbers, and whether index counts something (lanes, entries, blocks). */
static const struct {
	enum number_style style;
	bool has_index;
} kinds[UNTORN_FINDING_KINDS] = {
	[UNTORN_FINDING_NO_BTT] = {STYLE_NONE},
	[UNTORN_FINDING_AMBIGUOUS] = {STYLE_NONE},
	[UNTORN_FINDING_POOL_HEADER] = {STYLE_HEX},
	[UNTORN_FINDING_NOT_LAID_OUT] = {STYLE_NONE},
	[UNTORN_FINDING_INFO_SIGNATURE] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_CHECKSUM] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_PARENT] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_VERSION] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_UUID] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_GEOMETRY] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_CHAIN] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_ERROR_FLAG] = {STYLE_HEX},
	[UNTORN_FINDING_INFO_BACKUP] = {STYLE_HEX},
	[UNTORN_FINDING_FLOG_PADDING] = {STYLE_HEX, true},
	[UNTORN_FINDING_FLOG_OLD_PADDING] = {STYLE_NONE},
	[UNTORN_FINDING_FLOG_SEQ] = {STYLE_DECIMAL, true},
	[UNTORN_FINDING_FLOG_LBA] = {STYLE_BELOW, true},
	[UNTORN_FINDING_FLOG_BLOCK] = {STYLE_BELOW, true},
	[UNTORN_FINDING_FLOG_PENDING] = {STYLE_DECIMAL, true},
	[UNTORN_FINDING_FLOG_TWICE] = {STYLE_DECIMAL, true},
	[UNTORN_FINDING_FREE_TWICE] = {STYLE_DECIMAL, true},
	[UNTORN_FINDING_FREE_MAPPED] = {STYLE_DECIMAL, true},
	[UNTORN_FINDING_MAP_RANGE] = {STYLE_BELOW, true},
	[UNTORN_FINDING_MAP_TWICE] = {STYLE_DECIMAL, true},
	[UNTORN_FINDING_MAP_ERROR] = {STYLE_HEX, true},
	[UNTORN_FINDING_BLOCK_LOST] = {STYLE_NONE, true},
	[UNTORN_FINDING_MEDIA] = {STYLE_NONE},
};

struct place_text {
	char text[96];
};

static struct place_text format_place(enum untorn_finding_kind kind, const char *field, uint64_t index, uint64_t off)
{
	struct place_text out;

	if (kinds[kind].has_index)
		snprintf(out.text, sizeof(out.text), "%s %" PRIu64 " at 0x%" PRIx64, field, index, off);
	else
		snprintf(out.text, sizeof(out.text), "%s at 0x%" PRIx64, field, off);
	return out;
}

struct number_text {
	char text[32];
};

static struct number_text format_number(enum untorn_finding_kind kind, uint64_t value, bool is_expected)
{
	struct number_text out = {"-"};

	switch (kinds[kind].style) {
	case STYLE_NONE:
		break;
	case STYLE_HEX:
		snprintf(out.text, sizeof(out.text), "0x%" PRIx64, value);
		break;
	case STYLE_BELOW:
		snprintf(out.text, sizeof(out.text), "%s%" PRIu64, is_expected ? "below " : "", value);
		break;
	case STYLE_DECIMAL:
		snprintf(out.text, sizeof(out.text), "%" PRIu64, value);
		break;
	}
	return out;
}

struct arena_text {
	char text[16];
};

static struct arena_text format_arena(int arena)
{
	struct arena_text out = {"-"};

	if (arena >= 0)
		snprintf(out.text, sizeof(out.text), "%d", arena);
	return out;
}

static const char *severity_name(enum untorn_finding_kind kind)
{
	return untorn_finding_severity(kind) == UNTORN_ERROR ? "error" : "note";
}

static void print_finding(struct checking *checking, const struct untorn_finding *finding)
{
	enum untorn_finding_kind kind = finding->kind;
	uint64_t total = 0;

	if (!checking->request->all && checking->findings[kind] > SHOWN_OF_A_KIND)
		return;
	for (int i = 0; i < UNTORN_FINDING_KINDS; i++)
		total += checking->findings[i];
	if (total == 1)
		printf("%-8s %-5s %-18s %-34s %-18s %s\n", "severity", "arena", "finding", "place", "seen", "expected");
	printf("%-8s %-5s %-18s %-34s %-18s %s\n", severity_name(kind), format_arena(finding->arena).text,
	       untorn_finding_name(kind), format_place(kind, finding->field, finding->index, finding->off).text,
	       format_number(kind, finding->seen, false).text, format_number(kind, finding->expected, true).text);
	if (checking->findings[kind] == 1)
		printf("%14s endangers: %s\n", "", untorn_finding_danger(kind));
}

/* After a pass: what the cap left out. */
static void print_left_out(const struct checking *checking, FILE *out, const uint64_t counts[UNTORN_FINDING_KINDS])
{
	for (int kind = 0; kind < UNTORN_FINDING_KINDS && !checking->request->all; kind++) {
		if (counts[kind] > SHOWN_OF_A_KIND)
			fprintf(out, "... and %" PRIu64 " more of kind %s; --all prints every one\n",
				counts[kind] - SHOWN_OF_A_KIND, untorn_finding_name((enum untorn_finding_kind)kind));
	}
}

static void print_step(struct checking *checking, const struct untorn_repair_step *step)
{
	FILE *out = checking->plan;

	if (!checking->request->all && checking->steps[step->kind] > SHOWN_OF_A_KIND)
		return;
	fprintf(out, "  %" PRIu64 ". ", checking->nsteps);
	if (step->arena >= 0)
		fprintf(out, "arena %d, ", step->arena);
	fprintf(out, "%s: %s", format_place(step->kind, step->field, step->index, step->off).text, step->action);
	if (step->before != step->after)
		fprintf(out, " (0x%" PRIx64 " becomes 0x%" PRIx64 ")", step->before, step->after);
	fprintf(out, "\n");
}

/* ------------------------------------------------------------------ JSON ------------------------------------------ */

static void add_place(struct json_object *object, enum untorn_finding_kind kind, int arena, const char *field,
		      uint64_t index, uint64_t off)
{
	json_add_text(object, "finding", untorn_finding_name(kind));
	if (arena >= 0)
		json_add_u64(object, "arena", (uint64_t)arena);
	else
		json_add(object, "arena", NULL);
	json_add_text(object, "field", field);
	if (kinds[kind].has_index)
		json_add_u64(object, "index", index);
	json_add_u64(object, "offset", off);
}

static void add_finding(struct checking *checking, const struct untorn_finding *finding)
{
	static const char *const repairable[] = {"no", "yes", "force"};
	struct json_object *object = json_new_object();

	json_add_text(object, "type", "finding");
	json_add_text(object, "severity", severity_name(finding->kind));
	add_place(object, finding->kind, finding->arena, finding->field, finding->index, finding->off);
	json_add_u64(object, "seen", finding->seen);
	json_add_u64(object, "expected", finding->expected);
	json_add_text(object, "endangers", untorn_finding_danger(finding->kind));
	json_add_text(object, "repairable", repairable[finding->repairable]);
	json_array_add(checking->request->array, object);
}

static void add_step(struct checking *checking, const struct untorn_repair_step *step)
{
	struct json_object *object = json_new_object();

	json_add_text(object, "type", "step");
	add_place(object, step->kind, step->arena, step->field, step->index, step->off);
	json_add_u64(object, "length", step->len);
	json_add_text(object, "action", step->action);
	json_add_u64(object, "before", step->before);
	json_add_u64(object, "after", step->after);
	json_array_add(checking->request->array, object);
}

static void add_summary(struct checking *checking, const struct untorn_btt_check_result *result, int status)
{
	struct json_object *object = json_new_object();

	json_add_text(object, "type", "summary");
	json_add_text(object, "state",
		      status == FSCK_CLEAN       ? "clean"
		      : status == FSCK_CORRECTED ? "repaired"
						 : "damaged");
	json_add_u64(object, "errors", result->errors);
	json_add_u64(object, "notes", result->notes);
	json_add_u64(object, "repaired",
		     checking->request->repair && !checking->request->dry_run ? result->repaired : 0);
	json_add_u64(object, "left", result->left);
	json_add_u64(object, "sectors", result->nlba);
	json_add_u64(object, "arenas", result->narena);
	json_array_add(checking->request->array, object);
}

/* ----------------------------------------------------------------- callbacks -------------------------------------- */

static int on_finding(void *arg, const struct untorn_finding *finding)
{
	struct checking *checking = arg;

	checking->findings[finding->kind]++;
	if (untorn_finding_severity(finding->kind) == UNTORN_ERROR) {
		checking->mendable += finding->repairable == 1;
		checking->mendable_with_force += finding->repairable == 2;
	}
	progress_hide(&checking->progress);
	if (checking->request->json)
		add_finding(checking, finding);
	else
		print_finding(checking, finding);
	return 0;
}

static int on_step(void *arg, const struct untorn_repair_step *step)
{
	struct checking *checking = arg;

	checking->nsteps++;
	checking->steps[step->kind]++;
	if (checking->request->json)
		add_step(checking, step);
	else
		print_step(checking, step);
	return 0;
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct checking *checking = arg;

	checking->progress.total = total;
	progress_update(&checking->progress, done);
}

/* ------------------------------------------------------------------ check ----------------------------------------- */

/* One pass over the volume. Findings and steps are printed unless the pass applies a plan that was printed before. */
static int check(struct checking *checking, enum untorn_repair_mode mode, struct untorn_btt_check_result *ret_result)
{
	const struct check_request *request = checking->request;
	bool applies = mode == UNTORN_REPAIR_APPLY;
	const struct untorn_btt_check_options check_options = {
		.layout = request->layout,
		.parent_uuid = request->parent_uuid,
		.repair = mode,
		.flags = (request->force ? UNTORN_REPAIR_FORCE : 0) |
			 (request->rewrite_log ? UNTORN_REPAIR_REWRITE_LOG : 0),
		.finding = applies ? NULL : on_finding,
		.step = applies ? NULL : on_step,
		.progress = on_progress,
		.arg = checking,
	};
	int r;

	progress_begin(&checking->progress, applies ? "repairing" : "checking", 0, false);
	r = untorn_btt_check(request->media, &check_options, ret_result);
	progress_end(&checking->progress);
	if (r < 0)
		print_error("%s: the %s: %s", request->path,
			    applies ? "repair stopped halfway; run it again" : "check stopped", target_strerror(r));
	return r;
}

/* The plan goes out before anything is written, also into a pipe. */
static int print_plan(struct checking *checking)
{
	if (!checking->request->json && checking->nsteps) {
		print_left_out(checking, checking->plan, checking->steps);
		if (fflush(checking->plan) != 0) {
			print_error("%s", untorn_strerror(ENOMEM));
			return -ENOMEM;
		}
		printf("\nPlan:\n%s", checking->plan_text);
	}
	fflush(stdout);
	return 0;
}

static void print_summary(const struct checking *checking, const struct untorn_btt_check_result *result, int status)
{
	const struct check_request *request = checking->request;

	if (result->errors || result->notes)
		printf("\n");
	printf("%s: ", request->path);
	if (status == FSCK_CLEAN)
		printf("clean");
	else
		printf("%" PRIu64 " error%s", result->errors, result->errors == 1 ? "" : "s");
	if (result->notes)
		printf(", %" PRIu64 " note%s", result->notes, result->notes == 1 ? "" : "s");
	if (status != FSCK_CLEAN && request->repair && !request->dry_run)
		printf(", %" PRIu64 " repaired, %" PRIu64 " left", result->repaired, result->left);
	printf("; %" PRIu64 " sectors in %" PRIu32 " arena%s\n", result->nlba, result->narena,
	       result->narena == 1 ? "" : "s");
	if (!request->repair && !request->dry_run && checking->mendable)
		printf("'untorn %s --repair' can mend %" PRIu64 "; --dry-run prints how\n", request->command,
		       checking->mendable);
	if (!request->force && checking->mendable_with_force)
		printf("%" PRIu64 " can be mended with --force only; see 'man untorn-check'\n",
		       checking->mendable_with_force);
}

/* Returns the exit status, or CLI_FAILED after a sentence. */
static int check_once(struct checking *checking)
{
	const struct check_request *request = checking->request;
	bool plans = request->repair || request->dry_run, applies = request->repair && !request->dry_run;
	struct untorn_btt_check_result result;
	int status;

	if (check(checking, plans ? UNTORN_REPAIR_PLAN : UNTORN_REPAIR_NONE, &result) < 0)
		return CLI_FAILED;
	if (!request->json)
		print_left_out(checking, stdout, checking->findings);
	if (print_plan(checking) < 0)
		return CLI_FAILED;
	if (applies && checking->nsteps && check(checking, UNTORN_REPAIR_APPLY, &result) < 0)
		return CLI_FAILED;

	if (!result.errors)
		status = FSCK_CLEAN;
	else if (applies && !result.left)
		status = FSCK_CORRECTED;
	else
		status = FSCK_LEFT;
	if (request->json)
		add_summary(checking, &result, status);
	else
		print_summary(checking, &result, status);
	return status;
}

int check_volume(const struct check_request *request)
{
	struct checking checking = {.request = request};
	int status;

	checking.plan = open_memstream(&checking.plan_text, &checking.plan_size);
	if (!checking.plan) {
		print_error("%s", untorn_strerror(ENOMEM));
		return CLI_FAILED;
	}
	status = check_once(&checking);
	fclose(checking.plan);
	free(checking.plan_text);
	return status;
}
