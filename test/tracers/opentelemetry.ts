// Compares the spans that OpenTelemetry makes of a program with the bridge with those of the same program
// without it. They must be equal but for BEGIN, SAVEPOINT and RELEASE. Run by `pnpm check:tracers`.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { context, trace, type Tracer } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type * as Pg from 'pg'
import { freshDatabase, startPostgres } from '../postgres/index.ts'
import { scenarios } from './scenarios.ts'

const exporter = new InMemorySpanExporter()
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
trace.setGlobalTracerProvider(provider)
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const instrumentation = new PgInstrumentation({
  enhancedDatabaseReporting: true,
  ignoreConnectSpans: true,
})
registerInstrumentations({ tracerProvider: provider, instrumentations: [instrumentation] })

// The instrumentation patches what is required, so pg comes after it, and all else after pg.
const { Pool } = createRequire(import.meta.url)('pg') as typeof Pg
const { drizzle } = await import('drizzle-orm/node-postgres')
const { shareConnection } = await import('shared-connection')

const tracer: Tracer = trace.getTracer('program')
const OPENING = /^(begin|savepoint|release)/i

/** A span in words: its statement, its values and plan, its parent, and how it ended. */
function describe(span: ReadableSpan, spans: readonly ReadableSpan[]): string {
  const { attributes, events, parentSpanContext, status } = span
  const parent = spans.find((each) => each.spanContext().spanId === parentSpanContext?.spanId)
  const errors = events.map((event) => event.attributes?.['exception.message'])
  const text = attributes['db.query.text'] ?? attributes['db.statement']
  return JSON.stringify([text, span.name, parent?.name, status, errors, attributes])
}

function spansOf(): string[] {
  const spans = exporter.getFinishedSpans()
  const statements = spans.filter(({ name }) => name.startsWith('pg.query'))
  const described = statements.map((span) => describe(span, spans))
  exporter.reset()
  return described.filter((line) => !OPENING.test(JSON.parse(line)[0] as string))
}

const server = await startPostgres()
const database = await freshDatabase(server.url)
let failed = 0
try {
  for (const comments of [false, true]) {
    instrumentation.setConfig({
      ...instrumentation.getConfig(),
      addSqlCommenterCommentToQueries: comments,
    })
    for (const { name, run } of scenarios) {
      const seen: string[][] = []
      for (const isShared of [false, true]) {
        const pool = new Pool({ connectionString: database.url, max: 1 })
        await pool.query('drop table if exists note; create table note (id serial, text text)')
        const orm = drizzle({ client: pool })
        if (isShared) shareConnection(orm)
        exporter.reset()
        await tracer.startActiveSpan('program', async (span) => {
          await run(orm, pool, tracer)
          span.end()
        })
        seen.push(spansOf())
        await pool.end()
      }
      try {
        assert.ok((seen[0]?.length ?? 0) > 0, 'stock has made no span')
        assert.deepEqual(seen[1], seen[0])
        console.log(`ok: ${name}${comments ? ', with comments' : ''}`)
      } catch (error) {
        failed++
        console.log(`failed: ${name}${comments ? ', with comments' : ''}\n${String(error)}`)
      }
    }
  }
} finally {
  await server.stop()
}
process.exitCode = failed === 0 ? 0 : 1
