import type { Pool, PoolClient } from 'pg'
import { inSavepoint, type Layer, type Row } from './layer.ts'

/** Uses `pg` without a layer, as a careful program does. */
export class HandWritten implements Layer {
  readonly name: string
  readonly #on: Pool | PoolClient
  readonly #depth: number

  constructor(name: string, on: Pool | PoolClient, depth = 0) {
    this.name = name
    this.#on = on
    this.#depth = depth
  }

  async find(id: number): Promise<readonly Row[]> {
    const { rows } = await this.#on.query<Row>('select id, text from item where id = $1', [id])
    return rows
  }

  async list(): Promise<readonly Row[]> {
    return (await this.#on.query<Row>('select id, text from item order by id')).rows
  }

  add(text: string): Promise<unknown> {
    return this.#on.query('insert into note (text) values ($1)', [text])
  }

  async transaction(fn: (inside: Layer) => Promise<unknown>): Promise<unknown> {
    const depth = this.#depth
    if (depth > 0) {
      const inside = new HandWritten(this.name, this.#on, depth + 1)
      return inSavepoint(
        depth,
        (sql) => this.#on.query(sql),
        () => fn(inside),
      )
    }
    const client = await (this.#on as Pool).connect()
    try {
      await client.query('begin')
      const value = await fn(new HandWritten(this.name, client, 1))
      await client.query('commit')
      return value
    } catch (error) {
      await client.query('rollback')
      throw error
    } finally {
      client.release()
    }
  }
}
