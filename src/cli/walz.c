/*-------------------------------------------------------------------------
 *
 * walz.c
 *	  A command-line tool that applies walstream's codec walz to WAL segments.
 *
 *		walz [--json] [--quiet] report FILE|DIRECTORY...
 *		walz [--quiet] verify FILE|DIRECTORY...
 *		walz [--output=FILE] [--force] [--quiet] encode FILE
 *		walz [--output=FILE] [--force] [--quiet] decode FILE
 *
 * report and verify only read; encode and decode write one new file.  A
 * directory stands for the segments in it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <dirent.h>
#include <getopt.h>
#include <sys/stat.h>

#include "outfile.h"
#include "pure/segment.h"
#include "report.h"
#include "terminal.h"

#define SUFFIX			".walz"

typedef struct Options
{
	bool		json;
	bool		quiet;
	bool		force;
	const char *output;
} Options;

/* A list of file names, which grows as needed. */
typedef struct Names
{
	int			count;
	int			size;
	char	  **names;
} Names;

static void
usage(FILE *to)
{
	fprintf(to,
			"walz shows what walstream's codec walz makes of WAL segments.\n"
			"\n"
			"Usage:\n"
			"  walz [OPTION]... report FILE|DIRECTORY...\n"
			"  walz [OPTION]... verify FILE|DIRECTORY...\n"
			"  walz [OPTION]... encode SEGMENT\n"
			"  walz [OPTION]... decode FILE\n"
			"\n"
			"  report   what would be sent for these segments, beside zstd, and which\n"
			"           resource managers it goes to; everything is decoded and compared\n"
			"  verify   encode and decode segments and compare; check encoded files\n"
			"  encode   write SEGMENT.walz\n"
			"  decode   write the segment that FILE was made of\n"
			"\n"
			"Options:\n"
			"  --json         report: print JSON\n"
			"  --output=FILE  encode, decode: the file to write\n"
			"  --force        encode, decode: replace that file if it exists\n"
			"  --quiet        no progress\n"
			"  --help         print this\n");
}

static void
add_name(Names *names, const char *directory, const char *name)
{
	char	   *path;

	if (names->count == names->size)
	{
		names->size = names->size * 2 + 16;
		names->names = realloc(names->names, names->size * sizeof(char *));
	}
	path = malloc((directory != NULL ? strlen(directory) + 1 : 0) +
				  strlen(name) + 1);
	if (names->names == NULL || path == NULL)
	{
		terminal_message("out of memory");
		exit(1);
	}
	if (directory != NULL)
		sprintf(path, "%s/%s", directory, name);
	else
		strcpy(path, name);
	names->names[names->count++] = path;
}

static void
free_names(Names *names)
{
	for (int i = 0; i < names->count; i++)
		free(names->names[i]);
	free(names->names);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * Add a file, or the segments and encoded files in a directory, sorted by
 * name.
 */
static bool
add_path(Names *names, const char *path)
{
	struct stat st;
	DIR		   *directory;
	struct dirent *entry;
	int			first = names->count;

	if (stat(path, &st) != 0)
	{
		terminal_message("could not open \"%s\": %m", path);
		return false;
	}
	if (!S_ISDIR(st.st_mode))
	{
		add_name(names, NULL, path);
		return true;
	}
	directory = opendir(path);
	if (directory == NULL)
	{
		terminal_message("could not open directory \"%s\": %m", path);
		return false;
	}
	while ((entry = readdir(directory)) != NULL)
	{
		size_t		len = strlen(entry->d_name);

		if (segment_name(entry->d_name) ||
			(len > strlen(SUFFIX) &&
			 strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX) == 0))
			add_name(names, path, entry->d_name);
	}
	closedir(directory);
	if (names->count == first)
	{
		terminal_message("no WAL segments in \"%s\"", path);
		return false;
	}
	qsort(names->names + first, names->count - first, sizeof(char *),
		  compare_names);
	return true;
}

/*
 * A recycled segment has a new name but still its old pages.
 */
static bool
is_recycled(const Segment *segment)
{
	const char *name = strrchr(segment->path, '/');
	uint64		per_id;
	unsigned int tli;
	unsigned int high;
	unsigned int low;

	name = name == NULL ? segment->path : name + 1;
	if (!segment_name(name) ||
		sscanf(name, "%8X%8X%8X", &tli, &high, &low) != 3)
		return false;
	per_id = UINT64CONST(0x100000000) / segment->params.wal_segment_size;
	return ws_segment_number(segment->start, segment->params.wal_segment_size) !=
		high * per_id + low;
}

static int
run_report(const Options *options, const Names *names, bool verify)
{
	static Report report;
	bool		good = true;
	int			checked = 0;

	report_init(&report);
	if (!options->quiet)
		terminal_begin(names->count);
	for (int i = 0; i < names->count; i++)
	{
		Segment		segment;
		bool		encoded;

		terminal_file(i);
		if (!verify)
			terminal_part(0, REPORT_PARTS);
		if (!segment_read(names->names[i], &segment, &encoded))
		{
			good = false;
			continue;
		}

		/* an encoded file was checked when it was read */
		if (!is_recycled(&segment) && !(verify && encoded))
		{
			if (!report_segment(&report, &segment))
				good = false;
		}
		if (verify && !is_recycled(&segment))
			checked++;
		segment_free(&segment);
	}
	terminal_end();

	if (verify)
		printf("%d files verified%s\n", checked, good ? "" : ", others are not good");
	else if (options->json)
		report_print_json(&report);
	else
		report_print(&report);
	return good ? 0 : 1;
}

static int
run_encode(const char *path, OutFile *out)
{
	Segment		segment;
	uint8	   *bytes = NULL;
	size_t		len;
	bool		encoded;
	bool		good;

	if (!segment_read(path, &segment, &encoded))
	{
		outfile_abandon(out);
		return 1;
	}
	if (encoded)
		terminal_message("file \"%s\" is encoded already", path);
	else
		bytes = segment_encode(&segment, &len);
	if (bytes == NULL)
		outfile_abandon(out);
	good = bytes != NULL && outfile_commit(out, bytes, len);
	terminal_end();
	if (good)
		printf("%s: %zu bytes from %zu, ratio %.2f\n", out->path, len, segment.len,
			   (double) segment.len / len);
	free(bytes);
	segment_free(&segment);
	return good ? 0 : 1;
}

static int
run_decode(const char *path, OutFile *out)
{
	Segment		segment;
	bool		encoded;
	bool		good = false;

	if (!segment_read(path, &segment, &encoded))
	{
		outfile_abandon(out);
		return 1;
	}
	if (encoded)
		good = outfile_commit(out, segment.bytes, segment.len);
	else
	{
		terminal_message("file \"%s\" is not encoded", path);
		outfile_abandon(out);
	}
	terminal_end();
	if (good)
		printf("%s: %zu bytes\n", out->path, segment.len);
	segment_free(&segment);
	return good ? 0 : 1;
}

/* The file is opened first, so that an error shows before the work is done. */
static int
run_conversion(const Options *options, const char *path, bool encode)
{
	OutFile		out;
	char		output[MAXPGPATH];
	int			len = strlen(path);
	int			suffix = strlen(SUFFIX);

	if (options->output != NULL)
		len = snprintf(output, sizeof(output), "%s", options->output);
	else if (encode)
		len = snprintf(output, sizeof(output), "%s" SUFFIX, path);
	else if (len > suffix && strcmp(path + len - suffix, SUFFIX) == 0)
		len = snprintf(output, sizeof(output), "%.*s", len - suffix, path);
	else
	{
		terminal_message("name the file to write with --output");
		return 2;
	}
	if (len >= (int) sizeof(output))
	{
		terminal_message("name of file \"%s\" is too long", output);
		return 1;
	}
	if (!outfile_open(&out, output, path, options->force))
		return 1;
	if (!options->quiet)
		terminal_begin(1);
	return encode ? run_encode(path, &out) : run_decode(path, &out);
}

int
main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"output", required_argument, NULL, 'o'},
		{"force", no_argument, NULL, 'f'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}
	};
	Options		options = {0};
	Names		names = {0};
	const char *command;
	int			option;
	int			status = 0;

	while ((option = getopt_long(argc, argv, "jo:fqh", long_options, NULL)) != -1)
	{
		switch (option)
		{
			case 'j':
				options.json = true;
				break;
			case 'o':
				options.output = optarg;
				break;
			case 'f':
				options.force = true;
				break;
			case 'q':
				options.quiet = true;
				break;
			case 'h':
				usage(stdout);
				return 0;
			default:
				usage(stderr);
				return 2;
		}
	}
	if (argc - optind < 2)
	{
		usage(stderr);
		return 2;
	}
	command = argv[optind++];

	if (strcmp(command, "encode") == 0 && argc - optind == 1)
		return run_conversion(&options, argv[optind], true);
	if (strcmp(command, "decode") == 0 && argc - optind == 1)
		return run_conversion(&options, argv[optind], false);
	if (strcmp(command, "report") != 0 && strcmp(command, "verify") != 0)
	{
		usage(stderr);
		return 2;
	}
	for (; optind < argc && status == 0; optind++)
	{
		if (!add_path(&names, argv[optind]))
			status = 1;
	}
	if (status == 0)
		status = run_report(&options, &names, strcmp(command, "verify") == 0);
	free_names(&names);
	return status;
}
