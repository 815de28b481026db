import { once } from 'node:events'
import { Client, type DatabaseError } from 'pg'

/** The protocol connection inside a client of pg, as far as it tells what the server answers. */
interface ProtocolConnection extends NodeJS.EventEmitter {
  on(name: 'commandComplete', listener: (message: { text: string }) => void): this
}

/** Where a session can stand: idle, in a transaction, or in one that has failed. */
export type Status = 'I' | 'T' | 'E'

/** What the server says to one text: no layer and no bridge are asked. */
export interface Answer {
  readonly before: Status
  readonly after: Status
  /** The command tags without their counts, in order. */
  readonly tags: readonly string[]
  /** SQLSTATE and message of what failed. */
  readonly error: DatabaseError | undefined
}

/** How a text is sent. The extended protocol takes one command, and says so where it gets more. */
export type Protocol = 'simple' | 'extended'

/** The places from which a text is tried, and how a session comes there. */
export const places = {
  idle: '',
  'in a transaction': 'begin',
  'in a savepoint': 'begin; savepoint sp1',
  'in a savepoint that has failed': 'begin; savepoint sp1; select 1/0',
} as const

export type Place = keyof typeof places

/** A session of plain pg. */
export class Server {
  readonly #client: Client
  readonly #connection: ProtocolConnection
  #status: Status = 'I'
  #tags: string[] = []

  private constructor(client: Client) {
    this.#client = client
    this.#connection = (client as unknown as { connection: ProtocolConnection }).connection
    this.#connection.on('commandComplete', ({ text }) => this.#tags.push(tagOf(text)))
  }

  static async connect(url: string): Promise<Server> {
    const client = new Client({ connectionString: url })
    await client.connect()
    // a prepared transaction keeps its locks
    await client.query('set lock_timeout = 10')
    return new Server(client)
  }

  async ask(text: string, protocol: Protocol = 'simple'): Promise<Answer> {
    const before = this.#status
    this.#tags = []
    // a failed query rejects before the server has told its status
    const ready = once(this.#connection, 'readyForQuery') as Promise<[{ status: Status }]>
    const asked = this.#client
      // the declarations of pg do not know `queryMode`
      .query({ text, queryMode: protocol } as { text: string })
      .then(() => undefined)
      .catch((error: DatabaseError) => error)
    const [[{ status }], error] = await Promise.all([ready, asked])
    this.#status = status
    return { before, after: status, tags: this.#tags, error }
  }

  /** Brings the session to a place, as new. */
  async goTo(place: Place): Promise<void> {
    const hasPrepared = this.#tags.includes('PREPARE TRANSACTION')
    if (this.#status !== 'I') await this.ask('rollback')
    if (hasPrepared) await this.#rollBackPrepared()
    if (places[place] !== '') await this.ask(places[place])
  }

  async #rollBackPrepared(): Promise<void> {
    const { rows } = await this.#client.query<{ text: string }>(
      `select format('rollback prepared %L', gid) as text
       from pg_prepared_xacts where database = current_database()`,
    )
    for (const { text } of rows) await this.ask(text)
  }

  /** The modes of the transaction that is open. */
  async modes(): Promise<object> {
    const setting = (of: string): string => `current_setting('transaction_${of}')`
    const { rows } = await this.#client.query<object>(
      `select ${setting('isolation')} as "isolationLevel",
        case ${setting('read_only')} when 'on' then 'read only' else 'read write' end as "accessMode",
        ${setting('deferrable')} = 'on' as deferrable`,
    )
    return rows[0] ?? {}
  }

  end(): Promise<void> {
    return this.#client.end()
  }
}

/** `INSERT 0 1` is an INSERT. */
function tagOf(text: string): string {
  return text.replace(/[\s\d]+$/, '')
}
