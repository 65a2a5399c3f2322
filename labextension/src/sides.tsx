/**
 * What stands at the sides of the page from the start, loaded when there is something to see.
 */
import * as React from 'react';

import { retried } from './retry';
import { useServices, useShown, useSignal } from './services';
import type { View } from './view';

const EnvironmentsPanel = React.lazy(async () => ({
  default: (await retried(() => import('./environmentsPanel')))
    .EnvironmentsPanel
}));
const StatusItem = React.lazy(async () => ({
  default: (await retried(() => import('./statusItem'))).StatusItem
}));

export function Sidebar(props: { readonly view: View }): JSX.Element | null {
  const isShown = useShown(props.view);
  const [wasShown, setShown] = React.useState(isShown);
  React.useEffect(() => setShown(shown => shown || isShown), [isShown]);
  return wasShown ? <EnvironmentsPanel view={props.view} /> : null;
}

export function Status(props: { readonly view: View }): JSX.Element | null {
  const { current } = useServices();
  const environment = useSignal(current.changed, () => current.environment);
  return environment && <StatusItem view={props.view} />;
}
