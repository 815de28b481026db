import { parseArgs } from 'node:util'
import { sourceOf } from './bridge-at.ts'
import { LINKS, type LinkName } from './proxy/link.ts'
import type { Pace } from './rounds.ts'

export const USAGE = `pnpm bench [--quick] [--only <name>,…] [--links <name>,…] [--seconds <n>] [--transactions <n>]
           [--list] [--processes <n>] [--against <folder>]

  Prints tables. A run of all scenarios on all links also writes bench/results.json and bench/plot.svg.

  --quick          a smoke test: short, on loopback and 2 ms; its figures say little
  --only           scenarios whose names begin so: point-query, two-inserts, throughput-64 …
                   calls, javascript and heap-… are no scenarios on a link; protocol gives the others on loopback the
                   limit that is printed beside their ratios, where it is chosen with them
  --links          ${LINKS.join(', ')}
  --seconds        for each scenario on each link (default 3; half as much again on loopback)
  --transactions   over which the growth of the heap is measured (default 10000; 1000000 takes long)
  --list           with --only calls: each function that an operation calls, and how often
  --processes      how many fresh processes measure each layer in javascript (default 7)
  --against        another checkout, whose bridge is measured by turns with this one, on loopback
                   if --links says nothing else; it needs no installation
`

export interface Options {
  readonly only: readonly string[]
  readonly links: readonly LinkName[]
  readonly pace: Pace
  readonly transactions: number
  readonly listsCalls: boolean
  readonly processes: number
  readonly quick: boolean
  /** The source of the bridge to compare with. */
  readonly against?: string
  /** Whether to save the results. */
  readonly isWhole: boolean
}

/** Parses the command line. Returns undefined if it asks for help. */
export function options(): Options | undefined {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      links: { type: 'string' },
      seconds: { type: 'string' },
      transactions: { type: 'string' },
      list: { type: 'boolean', default: false },
      processes: { type: 'string' },
      against: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { quick, against, links } = values
  return {
    only: values.only.split(',').filter((name) => name !== ''),
    links: links === undefined ? linksOf(quick, against) : parseLinks(links),
    pace: {
      seconds: positive('seconds', values.seconds ?? (quick ? '0.1' : '3')),
      warmUp: quick ? 0.1 : 20,
      fewestRounds: quick ? 1 : 6,
    },
    isWhole: !quick && values.only === '' && links === undefined && against === undefined,
    transactions: positive('transactions', values.transactions ?? (quick ? '500' : '10000')),
    listsCalls: values.list,
    processes: positive('processes', values.processes ?? (quick ? '1' : '7')),
    quick,
    ...(against !== undefined && { against: sourceOf(against) }),
  }
}

function linksOf(quick: boolean, against: string | undefined): readonly LinkName[] {
  if (against !== undefined) return ['loopback']
  return quick ? ['loopback', '2 ms'] : LINKS
}

function parseLinks(list: string): readonly LinkName[] {
  const asked = list.split(',').map((name) => name.replace(/ ?(ms)?$/, ''))
  const unknown = asked.find((name) => !LINKS.some((link) => isNamed(link, name)))
  if (unknown !== undefined) throw new Error(`there is no link ${unknown}\n\n${USAGE}`)
  return LINKS.filter((link) => asked.some((name) => isNamed(link, name)))
}

function isNamed(link: LinkName, name: string): boolean {
  return link === name || link === `${name} ms` || (name === '0' && link === 'loopback')
}

function positive(name: string, text: string): number {
  const number = Number(text)
  if (number > 0 && Number.isFinite(number)) return number
  throw new Error(`--${name} ${text}: give a number above 0\n\n${USAGE}`)
}
