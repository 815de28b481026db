import { type Kysely, sql } from 'kysely'
import { inSavepoint, type Layer, type Row } from './layer.ts'
import type { Tables } from './schema.ts'

/** Whether `trx.transaction()` makes a savepoint. Stock Kysely throws. */
type Nesting = 'savepoint' | 'manual'

export class KyselyLayer implements Layer {
  readonly name: string
  readonly #db: Kysely<Tables>
  readonly #nesting: Nesting
  readonly #depth: number

  constructor(name: string, db: Kysely<Tables>, nesting: Nesting, depth = 0) {
    this.name = name
    this.#db = db
    this.#nesting = nesting
    this.#depth = depth
  }

  find(id: number): Promise<readonly Row[]> {
    return this.#db.selectFrom('item').select(['id', 'text']).where('id', '=', id).execute()
  }

  list(): Promise<readonly Row[]> {
    return this.#db.selectFrom('item').select(['id', 'text']).orderBy('id').execute()
  }

  add(text: string): Promise<unknown> {
    return this.#db.insertInto('note').values({ text }).execute()
  }

  transaction(fn: (inside: Layer) => Promise<unknown>): Promise<unknown> {
    const depth = this.#depth
    if (depth > 0 && this.#nesting === 'manual') {
      return inSavepoint(
        depth,
        (text) => sql.raw(text).execute(this.#db),
        () => fn(this.#inside(this.#db)),
      )
    }
    return this.#db.transaction().execute((trx) => fn(this.#inside(trx)))
  }

  #inside(db: Kysely<Tables>): KyselyLayer {
    return new KyselyLayer(this.name, db, this.#nesting, this.#depth + 1)
  }
}
