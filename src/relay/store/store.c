/*-------------------------------------------------------------------------
 *
 * store.c
 *	  A store's directory: its lock, its identity, and what is in it.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "relay/store/file.h"
#include "storage/fd.h"

/* Length of the longest name below the store's own path. */
#define MAX_STORE_PATH	(MAXPGPATH - 2 * WS_FILE_NAME_SIZE)

/* How often and how long the lock is tried for, in milliseconds. */
#define LOCK_RETRY_MS	20
#define LOCK_WAIT_MS	3000

/* descriptor of the lock file, in the postmaster and inherited; -1 if none */
static int	lock_fd = -1;

/*
 * Make the directory if necessary, and make its name durable, since a process
 * that made it earlier may have ended before that.  A parent that we cannot
 * read is left to its owner.
 */
static void
make_directory(const char *path)
{
	char		parent[MAXPGPATH];

	if (strlen(path) >= MAX_STORE_PATH)
		ereport(FATAL,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("path \"%s\" is too long", path));
	if (MakePGDirectory(path) != 0 && errno != EEXIST)
		ereport(FATAL,
				ws_errcode_for_file(),
				errmsg("could not create directory \"%s\": %m", path));

	strlcpy(parent, path, MAXPGPATH);
	get_parent_directory(parent);
	(void) ws_directory_sync_ext(parent[0] != '\0' ? parent : ".", FATAL);
}

/*
 * Make the same demands as PostgreSQL for its data directory: it must be ours,
 * nobody else may write in it, and only the group may be allowed to read it.
 * Earlier versions did not check, so a wrong mode is corrected.
 */
static void
check_owner_and_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		ereport(FATAL,
				ws_errcode_for_file(),
				errmsg("could not stat directory \"%s\": %m", path));
	if (!S_ISDIR(st.st_mode))
		ereport(FATAL,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("relay directory \"%s\" is not a directory", path));
	if (st.st_uid != geteuid())
		ereport(FATAL,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("relay directory \"%s\" has wrong ownership", path),
				errhint("It must belong to the user that starts the server.  If a file system should be mounted there, see whether it is."));
	if ((st.st_mode & PG_MODE_MASK_GROUP) == 0)
		return;
	if (chmod(path, pg_dir_create_mode) != 0)
		ereport(FATAL,
				ws_errcode_for_file(),
				errmsg("could not change permissions of directory \"%s\": %m", path));
	ereport(LOG,
			errmsg("permissions of relay directory \"%s\" were %04o and are now %04o",
				   path, (unsigned int) (st.st_mode & 07777),
				   (unsigned int) pg_dir_create_mode));
}

/*
 * Refuse a store within another store, which would take it for a part of
 * itself.
 */
static void
check_not_within_store(const char *path)
{
	char		parent[MAXPGPATH];
	char		file[MAXPGPATH];
	char	   *resolved = realpath(path, NULL);

	if (resolved == NULL || strlen(resolved) >= MAX_STORE_PATH)
		ereport(FATAL,
				ws_errcode_for_file(),
				errmsg("could not resolve path \"%s\": %m", path));
	strlcpy(parent, resolved, MAXPGPATH);
	free(resolved);

	while (strlen(parent) > 1)
	{
		get_parent_directory(parent);
		ws_file_path(parent, WS_IDENTITY_FILE, file);
		if (access(file, F_OK) == 0)
			ereport(FATAL,
					errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("relay directory \"%s\" is inside another relay directory", path),
					errdetail("There is a file \"%s\".", file),
					errhint("Set walstream.relay_directory to a directory of its own."));
	}
}

/*
 * A server that stops removes its pid file, and pg_ctl starts the next one, a
 * moment before its last process is gone, and with that the lock.  Returns false,
 * and errno, if the lock cannot be had.
 */
static bool
wait_for_lock(int fd)
{
	for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_RETRY_MS)
	{
		if (errno != EWOULDBLOCK || waited_ms >= LOCK_WAIT_MS)
			return false;
		pg_usleep(LOCK_RETRY_MS * 1000L);
	}
	return true;
}

void
ws_store_lock(const char *path)
{
	char		lock_path[MAXPGPATH];
	int			fd;

	if (lock_fd >= 0)
		return;
	make_directory(path);
	check_owner_and_mode(path);
	check_not_within_store(path);

	/*
	 * close-on-exec, so that programs started by the server do not inherit it
	 */
	ws_file_path(path, WS_LOCK_FILE, lock_path);
	fd = ws_file_open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC);
	if (fd < 0)
		ereport(FATAL,
				ws_errcode_for_file(),
				errmsg("could not open file \"%s\": %m", lock_path));
	if (!wait_for_lock(fd))
	{
		if (errno == EWOULDBLOCK)
			ereport(FATAL,
					errcode(ERRCODE_LOCK_FILE_EXISTS),
					errmsg("relay directory \"%s\" is in use", path),
					errdetail("Another server, or a process left over from one, holds the lock on \"%s\".",
							  lock_path),
					errhint("Give each relay a directory of its own with walstream.relay_directory."));
		ereport(FATAL,
				ws_errcode_for_file(),
				errmsg("could not lock file \"%s\": %m", lock_path));
	}
	lock_fd = fd;
}

/*
 * Check that this is still the directory that was locked: another one, which
 * nobody has locked, may have been mounted over it.
 */
static void
check_lock(const char *path)
{
	char		lock_path[MAXPGPATH];
	struct stat locked;
	struct stat named;

	ws_file_path(path, WS_LOCK_FILE, lock_path);
	if (lock_fd < 0 || fstat(lock_fd, &locked) != 0)
		elog(ERROR, "relay directory \"%s\" is not locked", path);
	if (lstat(lock_path, &named) != 0 ||
		named.st_dev != locked.st_dev || named.st_ino != locked.st_ino)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("relay directory \"%s\" is not the one that was there when the server was started",
					   path),
				errdetail("Its file \"%s\" is missing or another one.", WS_LOCK_FILE),
				errhint("Restart the server after mounting or moving a relay directory."));
}

/*
 * Check that an entry of a store has the type that its name implies, and is
 * not a link.
 */
static void
check_entry_type(const char *path, const char *name)
{
	char		entry_path[MAXPGPATH];

	ws_file_path(path, name, entry_path);
	if (name[0] == '.' || strcmp(name, "lost+found") == 0)
		return;
	if (strcmp(name, WS_SLOTS_DIRECTORY) == 0 ||
		strcmp(name, WS_NEW_RANGE_DIRECTORY) == 0 ||
		strncmp(name, WS_SET_ASIDE_PREFIX, strlen(WS_SET_ASIDE_PREFIX)) == 0 ||
		strncmp(name, WS_SURPLUS_PREFIX, strlen(WS_SURPLUS_PREFIX)) == 0)
		ws_file_check_directory(entry_path);
	else
		ws_file_check_regular(entry_path);
}

/*
 * Look at all names and refuse those that do not belong there.  Returns true
 * if there is WAL or a history file.
 */
static bool
check_names(const char *path, uint32 segment_size)
{
	DIR		   *dir = AllocateDir(path);
	struct dirent *entry;
	bool		found = false;

	while ((entry = ReadDir(dir, path)) != NULL)
	{
		TimeLineID	tli;
		XLogSegNo	segno;
		WsSegmentForm form;
		WsFileKind	kind = ws_file_classify(entry->d_name, segment_size, &tli,
											&segno, &form);

		if (kind != WS_FILE_UNKNOWN)
			check_entry_type(path, entry->d_name);
		switch (kind)
		{
			case WS_FILE_SEGMENT:
			case WS_FILE_HISTORY:
				found = true;
				break;
			case WS_FILE_UNCHECKED:
			case WS_FILE_TEMPORARY:
			case WS_FILE_OTHER:
				break;
			case WS_FILE_UNKNOWN:
				ereport(ERROR,
						errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("file \"%s/%s\" does not belong in a relay directory",
							   path, entry->d_name),
						errhint("Move it away, or set walstream.relay_directory to the relay's own directory."));
		}
	}
	FreeDir(dir);
	return found;
}

static void
report_identity(const char *file, WsStatus status)
{
	ereport(ERROR,
			errcode(ERRCODE_DATA_CORRUPTED),
			status == WS_E_UNEXPECTED ?
			errmsg("file \"%s\" is of another format version", file) :
			errmsg("file \"%s\" is damaged", file),
			status == WS_E_UNEXPECTED ?
			errhint("The relay directory was made by another version of walstream.") :
			errdetail("It is refused because of: %s.", ws_status_text(status)));
}

/* Refuse WAL of another kind than this server can read. */
static void
check_identity(const char *file, const WsStoreIdentity *identity)
{
	if (identity->major_version != PG_MAJORVERSION_NUM)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("relay directory holds WAL of PostgreSQL %u, this server is PostgreSQL %u",
					   identity->major_version, PG_MAJORVERSION_NUM),
				errdetail("File \"%s\" says so.", file),
				errhint("Set walstream.relay_directory to a new directory."));
	if (identity->block_size != XLOG_BLCKSZ)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("relay directory holds WAL with a block size of %u, this server's is %u",
					   identity->block_size, XLOG_BLCKSZ),
				errdetail("File \"%s\" says so.", file),
				errhint("Use a server that was built with --with-wal-blocksize=%u.",
						identity->block_size / 1024));
}

/*
 * Write an identity durably.  A store that is new, or of the format without an
 * identifier, gets one.
 */
static void
write_identity(const char *path, WsStoreIdentity *identity)
{
	char		content[WS_IDENTITY_MAX_BYTES];
	size_t		len;

	do
	{
		if (!pg_strong_random(&identity->store_identifier,
							  sizeof(identity->store_identifier)))
			ereport(ERROR,
					errcode(ERRCODE_INTERNAL_ERROR),
					errmsg("could not generate a random number"));
	} while (identity->store_identifier == 0);
	len = ws_identity_format(identity, content);
	(void) ws_file_replace(path, WS_IDENTITY_FILE, content, len, ERROR);
}

bool
ws_store_open(const char *path, WsStore *store)
{
	char		file[MAXPGPATH];
	char	   *content;
	size_t		len;
	WsStatus	status;

	memset(store, 0, sizeof(*store));
	if (strlen(path) >= MAX_STORE_PATH)
		ereport(ERROR,
				errcode(ERRCODE_NAME_TOO_LONG),
				errmsg("path \"%s\" is too long", path));
	check_lock(path);

	ws_file_path(path, WS_IDENTITY_FILE, file);
	content = ws_file_read_all(file, WS_IDENTITY_MAX_BYTES - 1, &len);
	if (content == NULL)
	{
		if (check_names(path, 0))
			ereport(ERROR,
					errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("relay directory \"%s\" has WAL but no file \"%s\"",
						   path, WS_IDENTITY_FILE),
					errhint("Restore that file, or set walstream.relay_directory to a new directory."));
		ws_known_check(path, NULL);
		return false;
	}

	status = ws_identity_parse(content, len, &store->identity);
	if (status != WS_OK)
		report_identity(file, status);
	check_identity(file, &store->identity);
	check_names(path, store->identity.segment_size);
	ws_known_check(path, &store->identity);
	if (store->identity.store_identifier == 0)
		write_identity(path, &store->identity);
	ws_known_remember(path, &store->identity);
	strlcpy(store->path, path, MAXPGPATH);
	pfree(content);
	return true;
}

bool
ws_store_make_slots_directory(const char *path)
{
	char		slots[MAXPGPATH];
	bool		made;

	ws_file_path(path, WS_SLOTS_DIRECTORY, slots);
	made = MakePGDirectory(slots) == 0;
	if (!made && errno != EEXIST)
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not create directory \"%s\": %m", slots));
	return made;
}

void
ws_store_create(const char *path, const WsStoreIdentity *identity, WsStore *store)
{
	if (!ws_identity_is_sane(identity))
		elog(ERROR, "no cluster has system identifier " UINT64_FORMAT ", segment size %u, block size %u, version %u",
			 identity->system_identifier, identity->segment_size,
			 identity->block_size, identity->major_version);
	check_identity(WS_IDENTITY_FILE, identity);
	if (ws_store_open(path, store))
		elog(ERROR, "relay directory \"%s\" has an identity already", path);

	/* the sync that makes the identity durable covers this too */
	(void) ws_store_make_slots_directory(path);
	store->identity = *identity;
	write_identity(path, &store->identity);
	ws_known_remember(path, &store->identity);
	strlcpy(store->path, path, MAXPGPATH);
}

/*
 * Sort by timeline and number; of two forms the valid one comes first.  An
 * open one is last, since the segment may have been closed under its other
 * name.
 */
static int
form_rank(WsSegmentForm form)
{
	return form == WS_SEGMENT_PARTIAL ? WS_SEGMENT_LZ4 + 1 : (int) form;
}

static int
compare_segments(const void *a, const void *b)
{
	const WsSegment *x = a;
	const WsSegment *y = b;

	if (x->tli != y->tli)
		return x->tli < y->tli ? -1 : 1;
	if (x->segno != y->segno)
		return x->segno < y->segno ? -1 : 1;
	return form_rank(x->form) - form_rank(y->form);
}

/* Get a segment's size.  Returns false if the file is gone. */
static bool
stat_segment(const WsStore *store, const char *name, WsSegment *segment)
{
	char		path[MAXPGPATH];
	struct stat st;

	ws_file_path(store->path, name, path);
	if (lstat(path, &st) != 0)
	{
		if (errno == ENOENT)
			return false;
		ereport(ERROR,
				ws_errcode_for_file(),
				errmsg("could not stat file \"%s\": %m", path));
	}
	segment->stored_bytes = st.st_size;
	segment->mtime = st.st_mtime;
	return true;
}

int
ws_store_list(const WsStore *store, WsSegment **segments)
{
	DIR		   *dir = AllocateDir(store->path);
	struct dirent *entry;
	WsSegment  *list;
	int			room = 64;
	int			count = 0;
	int			kept = 0;

	list = palloc(room * sizeof(WsSegment));
	while ((entry = ReadDir(dir, store->path)) != NULL)
	{
		WsSegment	segment;

		if (ws_file_classify(entry->d_name, store->identity.segment_size,
							 &segment.tli, &segment.segno,
							 &segment.form) != WS_FILE_SEGMENT ||
			!stat_segment(store, entry->d_name, &segment))
			continue;
		if (count == room)
		{
			room *= 2;
			list = repalloc_huge(list, room * sizeof(WsSegment));
		}
		list[count++] = segment;
	}
	FreeDir(dir);

	qsort(list, count, sizeof(WsSegment), compare_segments);
	for (int i = 0; i < count; i++)
	{
		if (kept > 0 && list[kept - 1].tli == list[i].tli &&
			list[kept - 1].segno == list[i].segno)
			continue;
		list[kept++] = list[i];
	}
	*segments = list;
	return kept;
}

bool
ws_store_has_segment(const WsStore *store, TimeLineID tli, XLogSegNo segno)
{
	char		path[MAXPGPATH];

	for (int form = WS_SEGMENT_RAW; form <= WS_SEGMENT_LZ4; form++)
	{
		ws_segment_path(store, tli, segno, (WsSegmentForm) form, path);
		if (ws_file_exists(path))
			return true;
	}
	return false;
}
