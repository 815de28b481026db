import type { DrizzleVersion, Orm } from './drizzle-version.ts'
import type { Layer, Row } from './layer.ts'

/** A Drizzle database, or one of its transactions. */
type Handle = Pick<Orm, 'select' | 'insert' | 'transaction'>

export class DrizzleLayer implements Layer {
  readonly name: string
  readonly #version: DrizzleVersion
  readonly #orm: Handle

  constructor(name: string, version: DrizzleVersion, orm: Handle) {
    this.name = name
    this.#version = version
    this.#orm = orm
  }

  async find(id: number): Promise<readonly Row[]> {
    const { items, eq } = this.#version
    return this.#orm.select().from(items).where(eq(items.id, id))
  }

  async list(): Promise<readonly Row[]> {
    const { items } = this.#version
    return this.#orm.select().from(items).orderBy(items.id)
  }

  async add(text: string): Promise<unknown> {
    return this.#orm.insert(this.#version.notes).values({ text })
  }

  transaction(fn: (inside: Layer) => Promise<unknown>): Promise<unknown> {
    return this.#orm.transaction((tx) => fn(new DrizzleLayer(this.name, this.#version, tx)))
  }
}
