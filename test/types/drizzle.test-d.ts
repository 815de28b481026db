import { drizzle } from 'drizzle-orm/node-postgres'
import { pgTable, serial, text } from 'drizzle-orm/pg-core'
import { Client, Pool } from 'pg'
import {
  type DrizzleTransaction,
  Rollback,
  type SharedTransaction,
  shareConnection,
  type TransactionFrame,
} from 'shared-connection'
import { expectTypeOf } from 'vitest'

const notes = pgTable('note', { id: serial('id').primaryKey(), text: text('text').notNull() })

interface Schema {
  note: { id: number; text: string }
}

const orm = drizzle({ client: new Pool() })
type Tx = Parameters<Parameters<typeof orm.transaction>[0]>[0]
const db = shareConnection(orm).kysely<Schema>()

// Drizzle's own type of the handle, whichever version.
expectTypeOf<DrizzleTransaction<typeof orm>>().toEqualTypeOf<Tx>()

export const value = db.shared.transaction(
  async ({ tx, trx, frame }) => {
    expectTypeOf(tx).toEqualTypeOf<Tx>()
    expectTypeOf(trx).toEqualTypeOf<SharedTransaction<Schema, typeof orm>>()
    expectTypeOf(frame).toEqualTypeOf<TransactionFrame>()
    expectTypeOf(db.shared.drizzleFor(trx)).toEqualTypeOf<Tx>()
    expectTypeOf(db.shared.kyselyFor(tx)).toEqualTypeOf<SharedTransaction<Schema, typeof orm>>()
    const rows = await tx.select().from(notes)
    expectTypeOf(rows).toEqualTypeOf<{ id: number; text: string }[]>()
    return rows.length
  },
  { isolationLevel: 'serializable', accessMode: 'read only', deferrable: true },
)
expectTypeOf(value).resolves.toEqualTypeOf<number>()

// Where there may be no transaction, there may be no frame.
void db.shared.transaction(
  ({ frame }) => {
    expectTypeOf(frame).toEqualTypeOf<TransactionFrame | undefined>()
  },
  { propagation: 'supports' },
)

expectTypeOf(new Rollback(3).value).toEqualTypeOf<number>()
expectTypeOf(new Rollback().value).toEqualTypeOf<undefined>()

void shareConnection(drizzle({ client: new Client() })).withClient((client) => {
  expectTypeOf(client).toEqualTypeOf<Client>()
})

// @ts-expect-error there is no such isolation level
void db.shared.transaction(() => undefined, { isolationLevel: 'snapshot' })
// @ts-expect-error there is no such propagation
void db.shared.transaction(() => undefined, { propagation: 'sometimes' })
// @ts-expect-error without a transaction there are no options of one
void db.shared.transaction(() => undefined, { propagation: 'never', accessMode: 'read only' })
// @ts-expect-error not a Drizzle database
shareConnection(new Pool())
// @ts-expect-error there is no such option
shareConnection(orm, { savepoints: true })
// @ts-expect-error a handle is an object
shareConnection(orm).of('tx')
