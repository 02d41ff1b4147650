/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  Functions that the fuzz targets share, for taking an input apart and for
 *	  failing.
 *
 * Copyright (c) 2026, the walstream authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef WS_FUZZ_H
#define WS_FUZZ_H

/* Called by libFuzzer, or by replay_main.c.  Returns 0. */
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * End the program unless the condition holds, so that libFuzzer keeps the
 * input.
 */
#define REQUIRE(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: %s does not hold\n", \
					__FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* The rest of an input. */
typedef struct FuzzInput
{
	const uint8_t *data;
	size_t		len;
} FuzzInput;

/* Take up to count bytes, fewer at the end; sets *got to their number. */
static inline const uint8_t *
take_bytes(FuzzInput *input, size_t count, size_t *got)
{
	const uint8_t *bytes = input->data;

	*got = count < input->len ? count : input->len;
	if (*got > 0)
		input->data += *got;
	input->len -= *got;
	return bytes;
}

/* Take an unsigned number of this many bytes, most significant first. */
static inline uint32_t
take_number(FuzzInput *input, size_t size)
{
	size_t		got;
	const uint8_t *bytes = take_bytes(input, size, &got);
	uint32_t	number = 0;

	for (size_t i = 0; i < got; i++)
		number = number << 8 | bytes[i];
	return number;
}

#endif							/* WS_FUZZ_H */
