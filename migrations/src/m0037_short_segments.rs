//! The history of a clock as a short text: every write on a ticket with clocks reads and writes it. And the index of clocks by when
//! they stopped begins with the policy: while there are hardly any clocks, PostgreSQL took it for the clocks of one ticket.

use crate::sql::SqlMigration;

/// See the module. A segment was an object with all of its fields; it is a list now, behind the terms of the first.
pub const MIGRATION: SqlMigration = SqlMigration {
    name: "m0037_short_segments",
    up: r"
{postgres}
-- Most writes on a clock change nothing that an index holds: with room on its page they touch no index.
ALTER TABLE sla_clock SET (fillfactor = 75);
ALTER TABLE sla_clock ALTER COLUMN segments TYPE {text} USING segments::text;
UPDATE sla_clock SET segments = (
    SELECT (
        jsonb_build_array(first.terms) || jsonb_agg(jsonb_build_array(
            (extract(epoch FROM (segment.value ->> 'from')::timestamptz) * 1000000)::bigint,
            segment.value -> 'running', segment.value -> 'cause', segment.value -> 'elapsed', segment.value -> 'reason',
            nullif(segment.value - 'from' - 'running' - 'cause' - 'reason' - 'elapsed', first.terms)
        ) ORDER BY segment.place)
    )::text
    FROM jsonb_array_elements(sla_clock.segments::jsonb) WITH ORDINALITY AS segment (value, place),
        (SELECT (sla_clock.segments::jsonb -> 0) - 'from' - 'running' - 'cause' - 'reason' - 'elapsed' AS terms) AS first
    GROUP BY first.terms
)
WHERE jsonb_array_length(segments::jsonb) > 0;
{both}
{sqlite}
UPDATE sla_clock SET segments = (
    SELECT json_group_array(json(part.value)) FROM (
        SELECT json_remove(sla_clock.segments -> 0, '$.from', '$.running', '$.cause', '$.reason', '$.elapsed') AS value
        UNION ALL
        SELECT json_array(
            unixepoch(substr(segment.value ->> 'from', 1, 19)) * 1000000
            + CAST(substr(rtrim(substr(segment.value ->> 'from', 21), 'Z') || '000000', 1, 6) AS INTEGER),
            segment.value -> 'running', segment.value -> 'cause', segment.value -> 'elapsed', segment.value -> 'reason',
            json(nullif(
                json_remove(segment.value, '$.from', '$.running', '$.cause', '$.reason', '$.elapsed'),
                json_remove(sla_clock.segments -> 0, '$.from', '$.running', '$.cause', '$.reason', '$.elapsed')
            ))
        ) FROM json_each(sla_clock.segments) AS segment
    ) AS part
)
WHERE json_array_length(segments) > 0;
{both}
DROP INDEX sla_clock_stopped;
CREATE INDEX sla_clock_stopped ON sla_clock (policy_id, stopped_at, tenant_id);
",
};
