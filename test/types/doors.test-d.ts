import 'shared-connection'
import 'shared-connection/register'
