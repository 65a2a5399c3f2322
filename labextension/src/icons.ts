/**
 * Icons: those of tabs, the launcher and the sidebar, and the strokes of all others.
 */
import { LabIcon } from '@jupyterlab/ui-components';

/** Drawn on 16 × 16 with a stroke of 1.5; `*` is filled. */
export const STROKES = {
  add: 'M8 3v10M3 8h10',
  box: 'M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM2.5 5 8 8.2 13.5 5M8 8.2v6',
  check: 'm3.2 8.4 3.2 3.2 6.4-7',
  chip: 'M3.5 3.5h9v9h-9zM6.2 6.2h3.6v3.6H6.2zM5.5 1.5v2M8 1.5v2M10.5 1.5v2M5.5 12.5v2M8 12.5v2M10.5 12.5v2M1.5 5.5h2M1.5 8h2M1.5 10.5h2M12.5 5.5h2M12.5 8h2M12.5 10.5h2',
  close: 'm4 4 8 8M12 4l-8 8',
  copy: 'M5.5 5.5H13V13H5.5zM10.5 3H3v7.5',
  done: 'M13.6 8A5.6 5.6 0 1 1 8 2.4 5.6 5.6 0 0 1 13.6 8zM5.6 8.2l1.7 1.7 3.2-3.6',
  down: 'm4 6.2 4 4 4-4',
  download: 'M8 2.5V10M4.8 7 8 10.2 11.2 7M3 13.2h10',
  error: 'M13.6 8A5.6 5.6 0 1 1 8 2.4 5.6 5.6 0 0 1 13.6 8zM8 5v3.6M8 10.4v.7',
  info: 'M13.6 8A5.6 5.6 0 1 1 8 2.4 5.6 5.6 0 0 1 13.6 8zM8 7.4V11M8 5v.7',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  notebook: 'M4 2h9v12H4zM2.5 4.5h3M2.5 8h3M2.5 11.5h3',
  open: 'M6.5 3.5h-3v9h9v-3M9 3h4v4M13 3 7.5 8.5',
  plug: 'M6 2v3M10 2v3M4.5 5h7v2.5a3.5 3.5 0 0 1-7 0zM8 11v3',
  refresh: 'M13 8a5 5 0 1 1-1.6-3.7M13 2.4v3h-3',
  remove: 'M3.5 8h9',
  right: 'm6.2 4 4 4-4 4',
  running: 'M13.6 8A5.6 5.6 0 1 1 8 2.4 5.6 5.6 0 0 1 13.6 8zM6.9 6v4l3.2-2z',
  search: 'M11.2 7A4.2 4.2 0 1 1 7 2.8 4.2 4.2 0 0 1 11.2 7zM10.2 10.2l3.3 3.3',
  spinner: 'M8 2.4A5.6 5.6 0 1 1 2.4 8',
  stop: 'M4 4h8v8H4z',
  stopped: 'M13.6 8A5.6 5.6 0 1 1 8 2.4 5.6 5.6 0 0 1 13.6 8zM6.5 6.5h3v3h-3z',
  terminal: 'M2 3h12v10H2zM4.8 6l2 2-2 2M8.5 10.5H11',
  unpack: 'M2.5 5.5h11v8h-11zM2.5 5.5l2-3h7l2 3M6.5 8.5h3',
  up: 'm4 9.8 4-4 4 4',
  user: 'M10.6 5.4A2.6 2.6 0 1 1 8 2.8a2.6 2.6 0 0 1 2.6 2.6zM3 13.6c.4-3 2.4-4.2 5-4.2s4.6 1.2 5 4.2',
  waiting: 'M13.6 8A5.6 5.6 0 1 1 8 2.4 5.6 5.6 0 0 1 13.6 8zM8 4.8V8l2.2 1.5',
  warning: 'M8 2.4 14.2 13H1.8zM8 6.4v3M8 11v.6'
} as const;

export type StrokeName = keyof typeof STROKES;

export const environmentIcon = icon('environment', STROKES.box, 'jp-icon3');
export const launcherIcon = icon('launcher', STROKES.box, 'jp-icon-brand1');
export const connectIcon = icon('connect', STROKES.plug, 'jp-icon3');
export const doctorIcon = icon('doctor', STROKES.done, 'jp-icon3');
export const takeAlongIcon = icon('take-along', STROKES.download, 'jp-icon3');
export const logIcon = icon('log', STROKES.terminal, 'jp-icon3');

function icon(name: string, path: string, colour: string): LabIcon {
  return new LabIcon({
    name: `jupyter-dlenv:${name}`,
    // The theme colours what has the attribute that its class is about: here, strokes.
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16" fill="none"><path class="${colour}" stroke="#616161" stroke-width="1.3" stroke-linejoin="round" stroke-linecap="round" d="${path}"/></svg>`
  });
}
