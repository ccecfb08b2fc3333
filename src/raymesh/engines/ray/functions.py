"""Which functions a staged plan may compute apart: a closed list. What is not on it makes one task do the work."""

from __future__ import annotations

_SCALARS = """
!= !~~ !~~* % & * ** + - ->> / // < << <= = > >= >> @ ^ ^@ abs acos acosh add alias array_contains
array_extract array_length array_slice ascii asin asinh atan atan2 atanh bar base64 bin bit_count
bit_length cardinality cbrt ceil ceiling century char_length character_length chr coalesce concat
concat_ws contains cos cosh cot damerau_levenshtein date_diff date_part date_sub date_trunc datediff
datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear decade decode degrees divide
editdist3 element_at encode ends_with epoch epoch_ms epoch_ns epoch_us era even exp factorial
flatten floor format from_base64 from_hex gamma gcd greatest hamming hash hex hour ifnull
ilike_escape instr isfinite isinf isnan isodow isoyear jaccard jaro_similarity
jaro_winkler_similarity json_array_length json_contains json_exists json_extract json_extract_path
json_extract_path_text json_extract_string json_keys json_type json_valid json_value julian last_day
lcase lcm least left left_grapheme len length length_grapheme levenshtein lgamma like_escape
list_cat list_concat list_contains list_distinct list_element list_extract list_has list_pack
list_position list_reverse_sort list_slice list_sort list_unique list_value ln log log10 log2 lower
lpad ltrim make_date make_time make_timestamp make_timestamptz map map_extract map_keys map_values
md5 microsecond millennium millisecond minute mismatches mod month monthname multiply nanosecond
nextafter nfc_normalize not_ilike_escape not_like_escape nullif ord pi position pow power prefix
printf quarter radians regexp_escape regexp_extract regexp_extract_all regexp_full_match
regexp_matches regexp_replace regexp_split_to_array repeat replace reverse right right_grapheme
round round_even roundbankers row rpad rtrim second sha1 sha256 sign signbit sin sinh split
split_part sqrt starts_with str_split strftime string_split string_to_array strip_accents strlen
strpos strptime struct_extract struct_pack substr substring substring_grapheme subtract suffix tan
tanh time_bucket to_base to_base64 to_centuries to_days to_decades to_hex to_hours to_microseconds
to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years translate
trim trunc try_strptime typeof ucase unbin unhex unicode upper url_decode url_encode week weekday
weekofyear xor year yearweek | || ~ ~~ ~~* ~~~
"""
SCALARS = frozenset(_SCALARS.split())
"""Scalar functions whose value depends on their arguments and on nothing else."""

_AGGREGATES = """
avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif covar_pop
covar_samp entropy favg fsum kahan_sum kurtosis max mean median min product quantile_cont
quantile_disc regr_count regr_intercept regr_r2 regr_slope skewness stddev stddev_pop stddev_samp
sum sumkahan var_pop var_samp variance
"""
AGGREGATES = frozenset(_AGGREGATES.split())
"""Aggregates that a set of rows determines, whatever their order (floating point: up to rounding)."""

RANKS = frozenset(("row_number", "rank", "dense_rank", "rank_dense", "percent_rank", "cume_dist", "ntile"))
FRAMES = frozenset(("first_value", "last_value", "nth_value", "lag", "lead"))
WINDOWS = AGGREGATES | RANKS | FRAMES | {"first", "last"}

_VOLATILE = """
age ago current_connection_id current_database current_date current_localtime current_localtimestamp
current_query current_query_id current_schema current_schemas current_setting current_time
current_timestamp current_transaction_id currval error gen_random_uuid get_current_time
get_current_timestamp getvariable in_search_path localtime localtimestamp nextval now random setseed
setval sleep_ms stats today transaction_timestamp txid_current uuid uuidv4 uuidv7 vector_type
write_log
"""
VOLATILE = frozenset(_VOLATILE.split())
"""Functions whose value belongs to one execution: a query that calls one anywhere runs whole, in one task."""
